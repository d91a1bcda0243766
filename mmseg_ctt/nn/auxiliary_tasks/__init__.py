# Copyright (c) mmseg_ctt contributors.
"""Auxiliary tasks: losses of the students beside those of a method, ``model.auxiliary_tasks``."""

from .adversarial import AdversarialTask
from .entropy import EntropyTask
from .exemplar import ExemplarTask
from .patch_matching import PatchMatchingTask
from .predictions import PredictionTask
from .rotation import RotationTask
from .student_pass import StudentPass
from .task import AuxiliaryTask, Terms, Views, ViewTask
from .tasks import AuxiliaryTasks, add_terms, registered_tasks, task_class

__all__ = [
    'AdversarialTask',
    'AuxiliaryTask',
    'AuxiliaryTasks',
    'EntropyTask',
    'ExemplarTask',
    'PatchMatchingTask',
    'PredictionTask',
    'RotationTask',
    'StudentPass',
    'Terms',
    'ViewTask',
    'Views',
    'add_terms',
    'registered_tasks',
    'task_class',
]
