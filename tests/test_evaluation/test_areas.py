# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmseg_ctt.evaluation import class_areas, count_at_once
from mmseg_ctt.lab.experiments.class_iou import ClassIoUMetric

K = 5


def maps(seed, low=0, high=K, kind=torch.long):
    """A prediction and a label that agree on about half of the pixels, a fifth ignored."""
    g = torch.Generator().manual_seed(seed)
    predicted, label = torch.randint(low, high, (2, 17, 23), generator=g)
    label = torch.where(torch.rand(label.shape, generator=g) < 0.5, predicted, label)
    label[torch.rand(label.shape, generator=g) < 0.2] = 255
    return predicted.to(kind), label.to(kind)


def assert_as_stock(predicted, label, ignore_index=255):
    found = class_areas(predicted, label, K, ignore_index)
    stock = IoUMetric.intersect_and_union(predicted, label, K, ignore_index)
    for ours, theirs in zip(found, stock):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    return found


@pytest.mark.parametrize('kind', [torch.long, torch.uint8, torch.float32])
@pytest.mark.parametrize('seed', range(3))
def test_as_mmseg_counts(seed, kind):
    areas = assert_as_stock(*maps(seed, kind=kind))
    assert areas[0].sum() > 0 and areas[1].sum() > areas[0].sum()


def test_values_that_are_no_classes():
    assert_as_stock(*maps(0, low=-3, high=K + 3))


@pytest.mark.parametrize('ignore_index', [0, 2, -1, K, 254])
def test_ignored_label(ignore_index):
    assert_as_stock(*maps(0, low=-2, high=K + 2), ignore_index=ignore_index)


def test_nothing_but_ignored_pixels():
    predicted, label = maps(0)
    assert all(area.sum() == 0 for area in assert_as_stock(predicted, label.fill_(255)))


@pytest.mark.parametrize('kind', [IoUMetric, ClassIoUMetric])
def test_metrics_that_count_as_mmseg_does(kind):
    metric = kind()
    count_at_once(metric)
    assert metric.intersect_and_union is class_areas
    assert IoUMetric.intersect_and_union is not class_areas


def test_a_metric_with_a_count_of_its_own_keeps_it():

    class Halved(IoUMetric):
        @staticmethod
        def intersect_and_union(*args):
            return [area / 2 for area in IoUMetric.intersect_and_union(*args)]

    metric = Halved()
    count_at_once(metric)
    predicted, label = maps(0)
    assert torch.equal(
        metric.intersect_and_union(predicted, label, K, 255)[2],
        class_areas(predicted, label, K, 255)[2] / 2,
    )


def test_metrics_of_other_kinds_are_left_alone():
    metric = object()
    count_at_once(metric)
