# Copyright (c) mmseg_ctt contributors.
__version__ = '0.10.0'
