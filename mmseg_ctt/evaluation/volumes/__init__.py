# Copyright (c) mmseg_ctt contributors.
"""Scores of whole volumes, of every case and class: Dice, Jaccard, and HD95 and ASD in mm."""

from .folders import FolderScores, check_comparable
from .metric import VolumeMetric, member_tables
from .scores import RATIOS, SCORES, Scores, class_scores, mask_scores, score_of
from .surfaces import (
    average_surface_distance,
    hausdorff_distance,
    surface_distances,
    surface_points,
)
from .table import ScoreTable, Summary, member_table

__all__ = [
    'FolderScores',
    'RATIOS',
    'SCORES',
    'ScoreTable',
    'Scores',
    'Summary',
    'VolumeMetric',
    'average_surface_distance',
    'check_comparable',
    'class_scores',
    'hausdorff_distance',
    'mask_scores',
    'member_table',
    'member_tables',
    'score_of',
    'surface_distances',
    'surface_points',
]
