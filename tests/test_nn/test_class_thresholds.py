# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record

from mmseg_ctt.nn.class_thresholds import ClassThresholds

K = 4


def batch(seed=0, absent=()):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, (2, 5, 6), generator=g)
    for k in absent:
        label[label == k] = 255
    return label, torch.rand(2, 5, 6, generator=g)


def mean_of(k, label, confidence):
    """Mean confidence of a class, pixel by pixel."""
    pixels = zip(label.flatten().tolist(), confidence.flatten().tolist())
    found = [value for of, value in pixels if of == k]
    return sum(found) / len(found)


def test_is_the_mean_of_the_batches_at_first_then_momentum_takes_over():
    thresholds, batches = ClassThresholds(K, 1.0, momentum=0.5), [batch(i) for i in range(3)]
    for maps in batches:
        thresholds.update(*maps)
    for k in range(K):
        first, second, third = (mean_of(k, *maps) for maps in batches)
        want = 0.5 * (first + second) / 2 + 0.5 * third
        assert thresholds.confidence[k].item() == pytest.approx(want, rel=1e-5)
    assert thresholds.updates.tolist() == [3] * K


def test_absent_classes_keep_their_threshold():
    thresholds = ClassThresholds(K, 1.0)
    thresholds.update(*batch(0))
    before = thresholds.confidence.clone()
    thresholds.update(*batch(1, absent=[2]))
    assert thresholds.confidence[2] == before[2] and thresholds.updates.tolist() == [2, 2, 1, 2]
    thresholds.update(*batch(2, absent=range(K)))
    assert thresholds.updates.tolist() == [2, 2, 1, 2]


def test_threshold_of_a_pixel():
    thresholds = ClassThresholds(K, 0.7)
    thresholds.confidence.copy_(torch.tensor([0.2, 0.5, 0.9, 0.0]))
    of = thresholds.of(torch.tensor([[0, 1, 2], [3, 255, -1]]))
    torch.testing.assert_close(of, torch.tensor([[0.2, 0.5, 0.7], [0.0, 2.0, 2.0]]))


def test_no_host_synchronisation():
    thresholds, (label, confidence) = ClassThresholds(K, 1.0), batch()
    assert record(lambda: thresholds.update(label, confidence)) == []
    assert record(lambda: thresholds.of(label)) == []


def test_many_pixels_are_not_lost():
    """Float32 would stop counting, or stop adding small numbers."""
    thresholds = ClassThresholds(K, 1.0)
    thresholds.update(torch.zeros(2**23).long(), torch.full((2**23,), 0.85))
    assert thresholds.confidence[0].item() == pytest.approx(0.85, rel=1e-6)


def test_bad_settings():
    with pytest.raises(ValueError, match=r'momentum must be in \[0, 1\)'):
        ClassThresholds(K, 1.0, momentum=1.0)
