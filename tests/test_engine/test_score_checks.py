# Copyright (c) mmseg_ctt contributors.
"""Scores that are named before the first validation."""

import pytest
from mmseg.evaluation.metrics import IoUMetric

from mmseg_ctt.engine.score_checks import check_save_best, names_of
from mmseg_ctt.evaluation.volumes import VolumeMetric

MEMBERS = ('student0', 'teacher0')


def volumes(classes=('background', 'heart')):
    made = VolumeMetric()
    made.dataset_meta = classes and dict(classes=classes)
    return made


@pytest.mark.parametrize(
    'name', ['volume/mDice', 'teacher0/volume/HD95_heart', 'mAcc', ['mIoU', 'volume/mASD'], 'auto']
)
def test_scores_of_two_metrics(name):
    check_save_best(name, [IoUMetric(), volumes()], MEMBERS)


@pytest.mark.parametrize(
    'name',
    ['mDice', 'volume/mIoU', 'volume/Dice_background', 'teacher1/volume/mDice', ['mIoU', 'a']],
)
def test_other_names(name):
    with pytest.raises(ValueError, match='is no score of validation: set one of aAcc, .*/mJaccard'):
        check_save_best(name, [IoUMetric(), volumes()], MEMBERS)


def test_what_cannot_be_known():
    check_save_best('volume/Dice_liver', [volumes(None)], MEMBERS)
    check_save_best('any', [IoUMetric(), object()], MEMBERS)
    check_save_best('student7/mIoU', [IoUMetric()])
    named = IoUMetric(prefix='pixels')
    check_save_best('pixels/mIoU', [named], MEMBERS)
    with pytest.raises(ValueError, match="save_best='mIoU' is no score"):
        check_save_best('mIoU', [named], MEMBERS)


def test_a_single_metric_may_be_a_text():
    assert names_of(IoUMetric(iou_metrics='mIoU')) == {'aAcc', 'mIoU', 'mAcc'}
