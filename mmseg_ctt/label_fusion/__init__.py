# Copyright (c) mmseg_ctt contributors.
"""Fusion of the masks of several raters: majority, STAPLE, consensus by graph cut."""
