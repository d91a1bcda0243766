# Copyright (c) mmseg_ctt contributors.
"""Scores of image classifiers with several classes in an image."""

import numpy as np
import pytest
from sklearn import metrics

from mmseg_ctt.evaluation.tag_scores import tag_scores


def test_by_hand():
    probability = np.array([[0.9, 0.1, 0.6], [0.8, 0.7, 0.2], [0.3, 0.6, 0.1]])
    tags = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    found = tag_scores(probability, tags)
    np.testing.assert_allclose(found.average_precision, [(1 + 2 / 3) / 2, 1, np.nan])
    assert found.mean_average_precision == pytest.approx(11 / 12)
    assert (found.precision, found.recall) == pytest.approx((3 / 5, 3 / 4))
    assert found.f1 == pytest.approx(2 / 3)
    assert tag_scores(probability, tags, threshold=0.75).precision == pytest.approx(1 / 2)


def test_equals_scikit_learn():
    generator = np.random.default_rng(0)
    probability, tags = generator.random((50, 6)), generator.random((50, 6)) < 0.3
    found = tag_scores(probability, tags)
    want = metrics.average_precision_score(tags, probability, average='macro')
    assert found.mean_average_precision == pytest.approx(want)
    assert found.f1 == pytest.approx(metrics.f1_score(tags, probability > 0.5, average='micro'))


def test_nothing_given_and_nothing_there():
    found = tag_scores(np.zeros((2, 3)), np.zeros((2, 3)))
    assert np.isnan(found.mean_average_precision) and found.f1 == 0
