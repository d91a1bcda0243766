# Copyright (c) mmseg_ctt contributors.
import numpy as np
import torch
from mmseg.evaluation import IoUMetric

from mmseg_ctt.lab.experiments.class_iou import ClassIoUMetric
from mmseg_ctt.lab.experiments.evaluate import by_member


def test_iou_of_each_class_by_hand():
    prediction, truth = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 255]])
    metric = ClassIoUMetric()
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    for _ in range(2):
        metric.process({}, [dict(pred_sem_seg=dict(data=prediction), gt_sem_seg=dict(data=truth))])
    found = metric.compute_metrics(metric.results)
    assert (found['IoU/a'], found['IoU/b']) == (50, 50) and np.isnan(found['IoU/c'])
    plain = IoUMetric()
    plain.dataset_meta, plain.results = metric.dataset_meta, metric.results
    assert found['mIoU'] == plain.compute_metrics(metric.results)['mIoU'] == 50


def test_classes_without_labels_are_left_out():
    """By hand: class c is predicted, and no label shows it."""
    prediction, truth = torch.tensor([[0, 2, 1, 1]]), torch.tensor([[0, 1, 1, 255]])
    found = {}
    for only in (False, True):
        metric = ClassIoUMetric(labelled_only=only)
        metric.dataset_meta = dict(classes=('a', 'b', 'c'))
        sample = dict(pred_sem_seg=dict(data=prediction), gt_sem_seg=dict(data=truth))
        metric.process({}, [sample])
        found[only] = metric.compute_metrics(metric.results)
    assert (found[False]['mIoU'], found[False]['IoU/c']) == (50, 0)
    assert found[True]['mIoU'] == 75 and np.isnan(found[True]['IoU/c'])
    for values in found.values():
        assert (values['IoU/a'], values['IoU/b']) == (100, 50)


def test_metrics_by_member():
    plain = {'mIoU': 1.0, 'aAcc': 9.0, 'IoU/a': 2.0, 'IoU/b': 0.0}
    assert by_member(plain) == {'model': {'mIoU': 1.0, 'a': 2.0, 'b': 0.0}}
    two = {
        f'{name}/{key}': value for name in ('teacher0', 'ensemble') for key, value in plain.items()
    }
    assert by_member({**two, **plain}) == dict.fromkeys(
        ('teacher0', 'ensemble'), {'mIoU': 1.0, 'a': 2.0, 'b': 0.0}
    )
