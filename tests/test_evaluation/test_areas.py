# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmseg_ctt.evaluation import AreaCounter, class_areas, count_at_once
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


def test_a_label_is_prepared_once_and_anew_after_a_change():
    counter = AreaCounter()
    first, label = maps(0)
    second, other = maps(1)

    def check(predicted, given, num_classes=K, ignore_index=255):
        stock = IoUMetric.intersect_and_union(predicted, given, num_classes, ignore_index)
        found = counter(predicted, given, num_classes, ignore_index)
        assert all(map(torch.equal, found, stock))
        return counter._rows

    rows = check(first, label)
    assert check(second, label) is rows and check(first, label[:]) is rows
    assert check(second, other) is not rows
    assert check(first, label, ignore_index=2) is not check(first, label, num_classes=K + 1)
    check(first, label)
    label[:9] = 1  # the same memory
    check(first, label)
    check(first.t(), label.t())


@pytest.mark.parametrize('num_classes, kind', [(13, 'uint8'), (14, 'int16'), (300, 'int32')])
def test_cells_are_small_integers(num_classes, kind):
    counter, random = AreaCounter(), torch.Generator().manual_seed(0)
    predicted, label = torch.randint(-1, num_classes + 2, (2, 40, 50), generator=random)
    found = counter(predicted, label, num_classes, 7)
    assert counter._rows.dtype == getattr(torch, kind)
    stock = IoUMetric.intersect_and_union(predicted, label, num_classes, 7)
    assert all(map(torch.equal, found, stock))


@pytest.mark.parametrize('kind', [IoUMetric, ClassIoUMetric])
def test_metrics_that_count_as_mmseg_does(kind):
    metric = kind()
    count_at_once(metric)
    assert isinstance(metric.intersect_and_union, AreaCounter)
    assert not isinstance(IoUMetric.intersect_and_union, AreaCounter)  # the class is left alone


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
