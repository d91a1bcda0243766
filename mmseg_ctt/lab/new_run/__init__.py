# Copyright (c) mmseg_ctt contributors.
"""From a folder of images and masks to lists and configs that train."""

from .run import NewRun, new_run

__all__ = ['NewRun', 'new_run']
