# Copyright (c) mmseg_ctt contributors.
from .segmentor import CrossTeacherTraining

__all__ = ['CrossTeacherTraining']
