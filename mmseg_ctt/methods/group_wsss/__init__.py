# Copyright (c) mmseg_ctt contributors.
