# Copyright (c) mmseg_ctt contributors.
from .cross_teacher import CrossTeacherTraining
from .semi_base import SemiSegmentor

__all__ = ['CrossTeacherTraining', 'SemiSegmentor']
