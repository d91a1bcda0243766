# Copyright (c) mmseg_ctt contributors.
"""Mean IoU of old and new classes."""

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmseg_ctt.evaluation import IncrementalIoUMetric, count_at_once, recorded_classes

CLASSES = ('background', 'cow', 'sky', 'cat', 'dog')
GROUPS = dict(old=('cow', 'sky'), new=('cat', 'dog'))


def samples(absent=(), count=3):
    g = torch.Generator().manual_seed(2)
    made = []
    for _ in range(count):
        label = torch.randint(0, 5, (1, 8, 9), generator=g)
        for k in absent:
            label[label == k] = 1
        label[:, 0] = 255
        predicted = torch.where(
            torch.rand(1, 8, 9, generator=g) < 0.6,
            label % 5,
            torch.randint(0, 5, (1, 8, 9), generator=g),
        )
        made.append(dict(pred_sem_seg=dict(data=predicted), gt_sem_seg=dict(data=label)))
    return made


def evaluated(metric, given):
    metric.dataset_meta = dict(classes=CLASSES)
    count_at_once(metric)
    metric.process({}, given)
    return metric.evaluate(len(given))


def iou_of(given, k):
    predicted = torch.cat([s['pred_sem_seg']['data'] for s in given])
    label = torch.cat([s['gt_sem_seg']['data'] for s in given])
    known = label != 255
    both = ((predicted == k) & (label == k) & known).sum()
    either = (((predicted == k) | (label == k)) & known).sum()
    return 100 * both.item() / either.item()


@pytest.mark.parametrize('absent', [(), (0,), (0, 3), (3, 4)])
def test_means_are_of_classes_that_the_truth_has(absent):
    given = samples(absent)
    scores = evaluated(IncrementalIoUMetric(groups=GROUPS), given)
    iou = {name: iou_of(given, k) for k, name in enumerate(CLASSES) if k not in absent}
    groups = {'mIoU': CLASSES, **{f'mIoU_{name}': classes for name, classes in GROUPS.items()}}
    for key, classes in groups.items():
        values = [iou[name] for name in classes if name in iou]
        assert scores[key] == pytest.approx(
            np.mean(values) if values else np.nan, abs=6e-3, nan_ok=True
        )
    stock = evaluated(IoUMetric(), given)
    assert (stock['mIoU'] == scores['mIoU']) == (not absent)
    assert stock['aAcc'] == scores['aAcc']


def test_values_of_the_classes_are_recorded():
    metric, given = IncrementalIoUMetric(groups=GROUPS), samples((0,))
    with recorded_classes([metric]) as values:
        evaluated(metric, given)
    assert np.isnan(values['IoU'][0]) and values['IoU'][1] == pytest.approx(iou_of(given, 1))


@pytest.mark.parametrize(
    'groups, error, words',
    [
        ({}, ValueError, 'groups has no class'),
        (dict(old=()), ValueError, r'groups\.old has no class'),
        (dict(old='cow'), TypeError, 'groups must be a dict of lists'),
        (['cow'], TypeError, 'groups must be a dict of lists'),
    ],
)
def test_wrong_groups(groups, error, words):
    with pytest.raises(error, match=words):
        IncrementalIoUMetric(groups=groups)


def test_a_class_that_the_data_do_not_have():
    metric = IncrementalIoUMetric(groups=dict(new=('cat', 'horse')))
    with pytest.raises(ValueError, match="groups.new has the class 'horse', and the data set has"):
        metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(ValueError, match="iou_metrics must hold 'mIoU'"):
        IncrementalIoUMetric(groups=GROUPS, iou_metrics=['mDice'])
