# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest

from mmseg_ctt.volumes.components import clean_labels, components, largest_components


def volume():
    """Class 1 in pieces of 8, 3 and 1 voxels, the last two touching at an edge; class 2 in one."""
    label = np.zeros((6, 5, 4), np.uint8)
    label[:2, :2, :2] = 1
    label[3:, 3, 0] = 1
    label[5, 4, 1] = 1
    label[4, 0, 3] = 2
    return label


def test_sizes_by_connectivity():
    mask = volume() == 1
    assert list(components(mask)[1]) == [8, 3, 1]
    numbers, sizes = components(mask, 2)
    assert list(sizes) == [8, 4] and numbers[5, 4, 1] == numbers[4, 3, 0] == 2


@pytest.mark.parametrize('keep, voxels', [(1, 8), (2, 11), (3, 12), (9, 12)])
def test_largest(keep, voxels):
    mask = volume() == 1
    kept = largest_components(mask, keep)
    assert kept.sum() == voxels and not (kept & ~mask).any()


def test_the_first_of_equal_components():
    mask = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    assert list(np.flatnonzero(largest_components(mask))) == [2, 3]


def test_empty_and_full_masks():
    assert not largest_components(np.zeros((3, 3), bool)).any()
    assert largest_components(np.ones((3, 3, 3), bool)).all()


def test_labels_of_each_class():
    label = volume()
    cleaned = clean_labels(label)
    assert cleaned.dtype == label.dtype and (cleaned == 1).sum() == 8 and (cleaned == 2).sum() == 1
    assert (label == 1).sum() == 12  # unchanged
    assert np.array_equal(clean_labels(label, classes=[2]), label)
    assert np.array_equal(clean_labels(label, keep=3), label)


@pytest.mark.parametrize(
    'settings, words', [(dict(keep=0), 'keep'), (dict(connectivity=4), 'connectivity')]
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        largest_components(np.ones((2, 2, 2), bool), **settings)
