# Copyright (c) mmseg_ctt contributors.
"""What evaluators measure, by their settings."""

import pytest
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from mmseg_ctt.evaluation import VolumeMetric
from mmseg_ctt.evaluation.evaluators import iou_settings, labelled_only, lacks_miou

INCREMENTAL = dict(type='IncrementalIoUMetric', groups=dict(old=['a']), ignore_index=3)
DICE = dict(type='IoUMetric', iou_metrics=['mDice'], prefix='x', format_only=True, output_dir='o')


class OwnMetric(BaseMetric):
    """Of a user."""


@pytest.mark.parametrize(
    'evaluator, settings',
    [
        (None, {}),
        (dict(type='VolumeMetric'), {}),
        (DICE, dict(iou_metrics=['mIoU'])),
        ([dict(type='VolumeMetric'), dict(DICE, nan_to_num=0)], dict(nan_to_num=0)),
        (dict(type='mmseg.IoUMetric', ignore_index=7), dict(ignore_index=7)),
        (dict(type=IoUMetric, ignore_index=7), dict(ignore_index=7)),
        (INCREMENTAL, dict(ignore_index=3, labelled_only=True)),
        (dict(type='Evaluator', metrics=[INCREMENTAL]), dict(ignore_index=3, labelled_only=True)),
    ],
)
def test_settings_of_the_miou(evaluator, settings):
    found = iou_settings(evaluator)
    assert found == ({**settings, 'iou_metrics': ['mIoU']} if settings else {})
    assert labelled_only(evaluator) is settings.get('labelled_only', False)


@pytest.mark.parametrize(
    'evaluator, words',
    [
        (None, 'none'),
        (DICE, 'IoUMetric'),
        ([DICE, dict(type='VolumeMetric')], 'IoUMetric, VolumeMetric'),
        ([dict(type=VolumeMetric)], 'VolumeMetric'),
        ([DICE, dict(type='IoUMetric')], None),
        (INCREMENTAL, None),
        (dict(type=OwnMetric), None),
        (dict(type='NowhereMetric'), None),
    ],
)
def test_evaluators_without_miou(evaluator, words):
    assert METRICS.get('IncrementalIoUMetric') is not None
    assert lacks_miou(evaluator) == words
