# Copyright (c) mmseg_ctt contributors.
"""Fusion of planes against loops over voxels, and against the mode of scipy."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from mmseg_ctt.label_fusion import PlaneFusion
from mmseg_ctt.label_fusion.planes import (
    agreed_label,
    disagreement,
    majority_label,
    mean_probability,
    soft_label,
)

SHAPE = (6, 5, 4)


def volumes(number, seed=0, classes=4):
    return np.random.RandomState(seed).randint(0, classes, (number, *SHAPE)).astype(np.uint8)


def voxels(labels):
    """Labels of the planes, voxel by voxel."""
    return labels.reshape(len(labels), -1).T.tolist()


def tie_winner(votes, candidates, tie):
    """The candidate of plane ``tie``, else that of the first plane that has one."""
    return next(label for label in (votes[tie], *votes) if label in candidates)


@pytest.mark.parametrize('tie', [0, 1, 2, -1])
def test_majority_of_three_is_the_mode_and_the_label_of_a_plane_where_all_differ(tie):
    labels = volumes(3)
    made = majority_label(labels, tie)
    mode, count = stats.mode(labels, axis=0)
    assert made.dtype == np.uint8 and (count == 1).any() and (count == 3).any()
    assert (made == np.where(count == 1, labels[tie], mode)).all()


@pytest.mark.parametrize('planes', [1, 2, 4, 5])
@pytest.mark.parametrize('tie', [0, -1])
def test_majority_of_any_number(planes, tie):
    labels = volumes(planes, planes)
    expected = []
    for votes in voxels(labels):
        most = Counter(votes).most_common()
        best = [label for label, count in most if count == most[0][1]]
        expected.append(tie_winner(votes, best, tie))
    assert majority_label(labels, tie).ravel().tolist() == expected


@pytest.mark.parametrize('planes, needed', [(3, 1), (3, 2), (3, None), (5, 2), (2, 2), (4, 3)])
@pytest.mark.parametrize('tie', [0, 1, -1])
def test_classes_that_enough_planes_predict(planes, needed, tie):
    labels = volumes(planes, planes)
    expected = []
    for votes in voxels(labels):
        count = Counter(label for label in votes if label)
        enough = {k: n for k, n in count.items() if n >= (needed or planes)}
        best = [k for k, n in enough.items() if n == max(enough.values())]
        expected.append(tie_winner(votes, best, tie) if best else 0)
    assert agreed_label(labels, needed, tie).ravel().tolist() == expected


def test_one_organ_gives_union_majority_and_intersection():
    """F1, F2 and F3 of a binary volume as the released code forms them."""
    labels = volumes(3, classes=2)
    total = labels.sum(axis=0)
    for name, needed in (('union', 1), ('at_least_two', 2), ('intersection', 3)):
        assert (PlaneFusion(name).fuse(labels) == (total >= needed)).all()
    assert (majority_label(labels) == (total >= 2)).all()


def test_soft_is_the_argmax_of_the_mean():
    g = np.random.RandomState(0)
    planes = g.dirichlet((1, 1, 1), (3, *SHAPE)).astype(np.float16).transpose(0, 4, 1, 2, 3)
    mean = planes.astype(np.float64).mean(axis=0)
    assert np.abs(mean_probability(iter(planes)) - mean).max() < 1e-6
    made = soft_label(iter(planes))
    assert made.dtype == np.uint8
    top = np.sort(mean, axis=0)
    clear = top[-1] - top[-2] > 1e-5
    assert clear.mean() > 0.9 and (made == mean.argmax(axis=0))[clear].all()
    assert (made != majority_label(planes.argmax(axis=1))).any()  # not the same thing
    assert (PlaneFusion('soft').fuse(planes.argmax(axis=1), iter(planes)) == made).all()


def test_voxels_where_planes_differ_are_ignored():
    labels = volumes(3, classes=2)
    differ = [len(set(votes)) > 1 for votes in voxels(labels)]
    assert disagreement(labels).ravel().tolist() == differ
    made = PlaneFusion(agreement_mask=True).fuse(labels)
    assert ((made == 255).ravel() == differ).all()
    assert (made == majority_label(labels))[made != 255].all()


@pytest.mark.parametrize('settings', [dict(fusion='mean'), dict(clean='big')])
def test_unknown_settings(settings):
    with pytest.raises(ValueError, match=f'{next(iter(settings))} must be one of'):
        PlaneFusion(**settings)
