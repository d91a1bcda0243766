# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest

from mmseg_ctt.label_fusion.staple import staple, vote_patterns
from mmseg_ctt.label_fusion.votes import MISSING


def noisy(truth, rates, classes, seed=0):
    """Raters who give another class at a part of the pixels."""
    rng = np.random.RandomState(seed)
    wrong = rng.rand(len(rates), *truth.shape) < np.reshape(rates, (-1, *(1,) * truth.ndim))
    return np.where(wrong, rng.randint(0, classes, wrong.shape), truth)


def by_pixels(labels, classes, steps):
    """EM of Warfield et al. pixel by pixel; every rater has annotated every pixel."""
    raters, flat = len(labels), labels.reshape(len(labels), -1)
    votes = np.eye(classes)[flat]  # (R, N, K)
    posterior = votes.mean(axis=0)
    prior = posterior.mean(axis=0)
    for _ in range(steps):
        theta = np.einsum('rnj,nk->rkj', votes, posterior) / posterior.sum(0)[None, :, None]
        product = np.stack(
            [np.prod([theta[r, k, flat[r]] for r in range(raters)], axis=0) for k in range(classes)]
        )
        posterior = (prior[:, None] * product).T
        posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior.T.reshape(classes, *labels.shape[1:]), theta


TRUTH = (np.add.outer(np.arange(20), np.arange(30)) // 17).astype(int)  # classes 0, 1, 2


@pytest.mark.parametrize('classes', [2, 3])
def test_against_the_form_by_pixels(classes):
    labels = noisy(np.minimum(TRUTH, classes - 1), [0.05, 0.2, 0.4], classes)
    found = staple(labels, classes, max_iterations=7, tolerance=0)
    probability, theta = by_pixels(labels, classes, 7)
    assert found.iterations == 7
    assert np.allclose(found.probability, probability, atol=1e-6)
    assert np.allclose(found.confusion, theta, atol=1e-10)
    assert np.array_equal(found.label, probability.argmax(axis=0))


def test_against_simpleitk():
    itk = pytest.importorskip(
        'SimpleITK',
        reason='our STAPLE must equal that of SimpleITK, of requirements/tests.txt; '
        'simulated raters are tested without it',
    )
    labels = noisy(np.minimum(TRUTH, 1), [0.05, 0.2, 0.4], 2).astype(np.uint8)
    stock = itk.STAPLEImageFilter()
    probability = stock.Execute([itk.GetImageFromArray(label) for label in labels])
    found = staple(labels, 2)
    assert np.allclose(found.probability[1], itk.GetArrayFromImage(probability), atol=1e-4)
    assert np.allclose(found.confusion[:, 1, 1], stock.GetSensitivity(), atol=1e-4)
    assert np.allclose(found.confusion[:, 0, 0], stock.GetSpecificity(), atol=1e-4)


def test_recognises_the_good_raters():
    truth = np.minimum(TRUTH, 1)
    labels = noisy(truth, [0.02, 0.02, 0.7, 0.7, 0.7], 2)
    found = staple(labels, 2)
    from_votes = (labels.mean(axis=0) > 0.5) != truth
    assert (found.label != truth).sum() < from_votes.sum()
    assert found.confusion[0, 1, 1] > 0.9 > found.confusion[3, 1, 1]


def test_missing_pixels_say_nothing():
    labels = noisy(np.minimum(TRUTH, 1), [0.05, 0.2, 0.4], 2)
    with_missing = np.concatenate([labels, np.full_like(labels[:1], MISSING)])
    whole, more = staple(labels, 2), staple(with_missing, 2)
    assert np.allclose(whole.probability, more.probability)
    labels[:, 0, 0] = MISSING
    found = staple(labels, 2)
    assert found.label[0, 0] == MISSING and not found.probability[:, 0, 0].any()
    with pytest.raises(ValueError, match='no rater annotated any pixel'):
        staple(np.full((2, 3, 3), MISSING), 2)


def test_prior():
    labels = noisy(np.minimum(TRUTH, 1), [0.3, 0.3], 2)
    low, high = (staple(labels, 2, prior).label.mean() for prior in ([0.99, 0.01], [0.01, 0.99]))
    assert low < high
    with pytest.raises(ValueError, match='one probability for each of 2'):
        staple(labels, 2, [0.5])


def test_patterns_of_many_raters():
    """More raters and classes than codes of 64 bit would hold."""
    labels = np.random.RandomState(0).randint(0, 254, (12, 5, 6)).astype(np.uint8)
    labels[3, 2] = MISSING
    patterns, index, counts = vote_patterns(labels, 254)
    assert np.array_equal(
        patterns[index].T.reshape(labels.shape), np.where(labels == MISSING, 254, labels)
    )
    assert counts.sum() == 30
