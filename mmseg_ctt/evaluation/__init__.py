# Copyright (c) mmseg_ctt contributors.
from .areas import AreaCounter, class_areas, count_at_once
from .class_table import class_tables, recorded_classes
from .incremental_iou import IncrementalIoUMetric
from .rater_agreement import RaterAgreementMetric
from .task_metric import TaskMetric
from .volumes import VolumeMetric

__all__ = [
    'IncrementalIoUMetric',
    'RaterAgreementMetric',
    'TaskMetric',
    'VolumeMetric',
    'AreaCounter',
    'class_areas',
    'class_tables',
    'count_at_once',
    'recorded_classes',
]
