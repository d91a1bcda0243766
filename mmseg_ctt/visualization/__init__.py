# Copyright (c) mmseg_ctt contributors.
from .panels import colorize, save_grid

__all__ = ['colorize', 'save_grid']
