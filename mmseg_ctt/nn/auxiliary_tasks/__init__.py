# Copyright (c) mmseg_ctt contributors.
"""Auxiliary tasks: losses of the students beside those of a method, ``model.auxiliary_tasks``."""

from .rotation import RotationTask
from .student_pass import StudentPass
from .task import AuxiliaryTask, Terms, Views, ViewTask
from .tasks import AuxiliaryTasks, registered_tasks

__all__ = [
    'AuxiliaryTask',
    'AuxiliaryTasks',
    'RotationTask',
    'StudentPass',
    'Terms',
    'ViewTask',
    'Views',
    'registered_tasks',
]
