# Copyright (c) mmseg_ctt contributors.
from .areas import class_areas, count_at_once

__all__ = ['class_areas', 'count_at_once']
