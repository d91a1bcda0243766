# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest

from mmseg_ctt.label_fusion.votes import MISSING, majority_vote, soft_labels

M = MISSING
# pixels: unanimous, 2 against 1, tie of 0 and 2, tie of 1 and 2, one vote alone, none
VOTES = np.array([[1, 1, 2, 2, M, M], [1, 0, 0, 1, 2, M], [1, 1, M, M, M, M]])[:, None]


@pytest.mark.parametrize(
    'tie, want',
    [('lowest', [1, 1, 0, 1, 2, M]), ('first', [1, 1, 2, 2, 2, M]), ('ignore', [1, 1, M, M, 2, M])],
)
def test_majority(tie, want):
    fused = majority_vote(VOTES, 3, tie)
    assert fused.dtype == np.uint8 and fused.tolist() == [want]


def test_order_of_raters_matters_to_first_alone():
    for tie, same in (('lowest', True), ('first', False), ('ignore', True)):
        fused = majority_vote(VOTES, 3, tie), majority_vote(VOTES[::-1], 3, tie)
        assert np.array_equal(*fused) == same, tie


def test_first_leaves_a_majority_alone():
    votes = np.array([0, 1, 1, 2, 2]).reshape(5, 1, 1)  # the first rater has no class of the tie
    assert majority_vote(votes, 3, 'first').item() == 1


def test_soft_labels():
    soft = soft_labels(VOTES, 3)
    assert soft.dtype == np.float32 and soft.shape == (3, 1, 6)
    assert np.allclose(soft[:, 0, 1], [1 / 3, 2 / 3, 0]) and np.allclose(
        soft[:, 0, 2], [0.5, 0, 0.5]
    )
    assert soft[:, 0, 5].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    'labels, classes, words',
    [
        (np.full((2, 3, 3), 2), 2, 'the id 2, which is neither a class'),
        (np.full((2, 3, 3), -1), 2, 'the id -1'),
        (np.zeros((2, 3, 3)), 2, 'float64, not integer ids'),
        (np.zeros(3, int), 2, 'are no annotations'),
        (np.zeros((0, 3, 3), int), 2, 'are no annotations'),
        (np.zeros((2, 3, 3), int), 1, 'num_classes=1'),
    ],
)
def test_wrong_annotations(labels, classes, words):
    with pytest.raises(ValueError, match=words):
        majority_vote(labels, classes)


def test_unknown_tie():
    with pytest.raises(ValueError, match="tie='last'"):
        majority_vote(VOTES, 3, 'last')
