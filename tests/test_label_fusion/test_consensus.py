# Copyright (c) mmseg_ctt contributors.
import sys

import numpy as np
import pytest
from scipy import ndimage

from mmseg_ctt.label_fusion.completion import (
    complete_annotation,
    guided_mean,
    locally_consistent,
    nearest_labels,
)
from mmseg_ctt.label_fusion.consensus import ConsensusSettings, check_cut, consensus
from mmseg_ctt.label_fusion.features import image_features, oriented_entropy
from mmseg_ctt.label_fusion.self_consistency import class_probability, self_consistency
from mmseg_ctt.label_fusion.votes import MISSING, majority_vote
from mmseg_ctt.label_fusion.weights import rater_weights

FAST = ConsensusSettings(trees=12, min_leaf=3, max_pixels=1000)


def scene(shape=(40, 48), classes=2, seed=0):
    """An image of bright stripes and its true mask."""
    rng = np.random.RandomState(seed)
    bands = np.arange(shape[-1]) * 2 * classes // shape[-1] % classes
    truth = np.broadcast_to(bands, shape).astype(np.uint8)
    return (truth * 60 + rng.normal(0, 4, shape)).astype(np.float32), truth


def noisy(truth, part, seed):
    rng = np.random.RandomState(seed)
    return np.where(
        rng.rand(*truth.shape) < part, rng.randint(0, truth.max() + 1, truth.shape), truth
    )


# ---- features


@pytest.mark.parametrize('shape, ndim', [((20, 24), 2), ((20, 24, 3), 2), ((12, 12, 8), 3)])
def test_features(shape, ndim):
    image = np.random.RandomState(0).rand(*shape) * 9
    channels = shape[ndim] if len(shape) > ndim else 1
    found = image_features(image, ndim)
    assert found.dtype == np.float32 and found.shape == (*shape[:ndim], 9 * channels + ndim)
    stack = image.reshape(*shape[:ndim], channels)
    for c in range(channels):
        assert np.allclose(found[..., 9 * c], stack[..., c], atol=1e-6)
        smooth = ndimage.gaussian_filter(stack[..., c], 2.0)
        assert np.allclose(found[..., 9 * c + 2], smooth, atol=1e-4)
        window = (slice(8, 11), slice(6, 9), slice(4, 7))[:ndim]
        middle = (9, 7, 5)[:ndim]
        assert found[(*middle, 9 * c + 6)] == pytest.approx(stack[(*window, c)].std(), rel=1e-4)
    assert found[..., -1].min() == 0 and found[..., -1].max() == 1
    with_entropy = image_features(image, ndim, gabor_entropy=True)
    assert with_entropy.shape[-1] == 10 * channels + ndim


def test_spacing_of_features():
    image = np.random.RandomState(0).rand(16, 16, 16)
    found = image_features(image, 3, spacing=(1, 1, 4))
    assert np.allclose(found[..., 2], ndimage.gaussian_filter(image, (2, 2, 0.5)), atol=1e-5)


def test_entropy_of_orientations():
    stripes = np.sin(np.arange(48) * 2 * np.pi / 6) * np.ones((48, 1)) * 10
    noise = np.random.RandomState(0).normal(0, 10, (48, 48))
    inside = slice(12, 36), slice(12, 36)
    assert oriented_entropy(stripes.astype(np.float32))[inside].max() < 0.2
    assert oriented_entropy(noise.astype(np.float32))[inside].mean() > 1
    assert np.allclose(oriented_entropy(np.ones((20, 20), np.float32)), np.log(4), atol=1e-3)


@pytest.mark.parametrize(
    'image, words',
    [
        (np.zeros(5), 'has not 2 dimensions'),
        (np.full((5, 5), np.nan), 'values that are not finite'),
    ],
)
def test_wrong_images(image, words):
    with pytest.raises(ValueError, match=words):
        image_features(image, 2)


# ---- self-consistency


def test_own_labels_do_not_confirm_themselves():
    """Labels without any relation to the image have the probability of a guess."""
    rng = np.random.RandomState(0)
    features, label = rng.rand(1500, 4), rng.randint(0, 2, 1500)
    own = class_probability(features, label, 2, trees=40, min_leaf=1)
    assert np.take_along_axis(own, label[None], 0).mean() == pytest.approx(0.5, abs=0.05)


def test_forest_is_the_same_for_a_seed():
    image, truth = scene()
    features = image_features(image, 2)
    first, again, other = (
        class_probability(features, truth, 2, 5, 3, 300, seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_classes_that_a_rater_did_not_use():
    features = np.random.RandomState(0).rand(60, 2)
    found = class_probability(features, np.full(60, 2), 4, trees=3)
    assert found.shape == (4, 60) and (found[2] == 1).all() and found.sum() == 60
    with pytest.raises(ValueError, match='annotated no pixel'):
        class_probability(features, np.full(60, MISSING), 4)


def test_self_consistency_by_hand():
    probability = np.zeros((2, 5, 5), np.float32)
    probability[1] = 0.25
    probability[0] = 0.75
    label = np.zeros((5, 5), int)
    label[2, 2] = 1
    annotated = np.ones((5, 5), bool)
    annotated[0, 0] = False
    found = self_consistency(probability, label, annotated, window=3)
    assert found[2, 2] == pytest.approx((8 * 0.75 + 0.25) / 9)
    assert found[4, 4] == pytest.approx(0.75)
    assert found[0, 0] == pytest.approx(0.75 * 0.5), 'times the confidence of the completion'


def test_noise_lowers_the_score():
    image, truth = scene()
    labels = np.stack([noisy(truth, part, seed) for seed, part in enumerate((0.02, 0.3, 0.6))])
    scores = consensus(image, labels, 2, FAST).scores
    assert scores == sorted(scores, reverse=True) and scores[0] - scores[2] > 0.1


# ---- weights


def test_weights():
    consistency = np.array([0.9, 0.6, 0.6]).reshape(3, 1, 1) * np.ones((3, 2, 2))
    for rule, power, want in (
        ('pixel', 1, [0.9 / 2.1, 0.6 / 2.1, 0.6 / 2.1]),
        ('pixel', 2, [0.81 / 1.53, 0.36 / 1.53, 0.36 / 1.53]),
        ('pixel', 0, [1 / 3] * 3),
        ('rater', 1, [0.31 / 0.33, 0.01 / 0.33, 0.01 / 0.33]),
    ):
        found = rater_weights(consistency, rule, power)
        assert np.allclose(found[:, 0, 0], want) and np.allclose(found.sum(axis=0), 1)
    assert np.allclose(rater_weights(np.zeros((2, 1, 1))), 0.5)


# ---- completion


def test_completion_of_blocks():
    image, truth = scene()
    label = truth.copy()
    label[8:24, 10:30] = MISSING
    features = image_features(image, 2)
    probability = class_probability(features, label, 2, 12, 3)
    for kind in ('none', 'mean', 'neighbors'):
        used = locally_consistent(probability, label, image, kind, features)
        assert np.array_equal(used[:, label != MISSING], probability[:, label != MISSING])
        assert (complete_annotation(label, used) == truth).mean() > 0.99, kind
    with pytest.raises(ValueError, match="local_consistency='medan'"):
        locally_consistent(probability, label, image, 'medan')
    with pytest.raises(ValueError, match='needs the features'):
        locally_consistent(probability, label, image, 'neighbors')


def test_guided_mean_by_hand():
    maps = np.array([[[1.0, 0.0, 0.0]]])
    image = np.array([[0.0, 0.0, 100.0]])
    found = guided_mean(maps, image)
    weight = np.exp(-(100**2) / (2 * image.var()))
    assert found[0, 0, 0] == pytest.approx(0.5)
    assert found[0, 0, 1] == pytest.approx(1 / (2 + weight))
    assert np.allclose(guided_mean(maps, np.zeros((1, 3))), [[[0.5, 1 / 3, 0]]])


def test_nearest_labels():
    features = np.concatenate([np.zeros((30, 1)), np.ones((30, 1))]) + np.arange(60)[:, None] / 1e4
    label = np.repeat([0, 1], 30)
    label[[0, 59]] = MISSING
    assert nearest_labels(features, label, 2).tolist() == [[1, 0], [0, 1]]


# ---- all together


@pytest.mark.parametrize('shape, classes', [((40, 48), 2), ((40, 48), 3), ((8, 9, 24), 2)])
def test_identical_raters(shape, classes):
    image, truth = scene(shape, classes)
    image = image[..., None] if len(shape) == 2 else image
    found = consensus(image, np.stack([truth] * 3), classes, FAST._replace(smoothness=0))
    assert np.array_equal(found.label, truth) and np.array_equal(found.completed[1], truth)
    assert (found.margin > 0.999).all() and found.raters == [0, 1, 2]
    assert np.allclose(found.weights, 1 / 3)


@pytest.mark.parametrize('classes', [2, 3])
def test_better_than_the_majority(classes):
    image, truth = scene((40, 48), classes)
    parts = (0.05, 0.4, 0.4)
    labels = np.stack([noisy(truth, part, seed) for seed, part in enumerate(parts)])
    labels[1, :8, :8] = MISSING
    errors = [
        (fused != truth).sum()
        for fused in (consensus(image, labels, classes, FAST).label, majority_vote(labels, classes))
    ]
    assert errors[0] < errors[1] / 2


def test_a_rater_without_labels_is_left_out():
    image, truth = scene()
    labels = np.stack([truth, np.full_like(truth, MISSING), truth])
    found = consensus(image, labels, 2, FAST)
    assert found.raters == [0, 2] and len(found.scores) == 2
    with pytest.raises(ValueError, match='no rater annotated any pixel'):
        consensus(image, labels[1:2], 2, FAST)
    with pytest.raises(ValueError, match='does not fit annotations'):
        consensus(image[:-1], labels, 2, FAST)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(rule='best'), "rule='best'"),
        (dict(local_consistency='x'), "local_consistency='x'"),
        (dict(power=-1), 'power=-1 must not be negative'),
        (dict(window=4), 'window=4 must be odd'),
        (dict(trees=0), 'trees=0 must be positive'),
        (dict(sigma=0.0), 'sigma=0.0 must be positive'),
        (dict(neighbours=6), 'neighbours=6 must be one of'),
    ],
)
def test_settings_without_a_meaning(change, words):
    image, truth = scene((12, 12))
    with pytest.raises(ValueError, match=words):
        consensus(image, truth[None], 2, FAST._replace(**change))


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.ensemble', None)
    with pytest.raises(ValueError, match=r"pip install 'mmseg_ctt\[raters\]'"):
        class_probability(np.zeros((4, 1)), np.zeros(4, int), 2)


# ---- what cannot be cut


@pytest.mark.parametrize('classes', [2, 3])
@pytest.mark.parametrize('scale', [1000, 2 * 10**5, 3 * 10**6, 10**9, 3 * 10**9])
def test_a_cut_that_is_too_large_is_found_before_the_forests(classes, scale):
    """What the check refuses the cut refuses too."""
    image, truth = scene(classes=classes)
    labels = np.stack([truth, noisy(truth, 0.1, 1)])
    settings = FAST._replace(scale=scale)
    message = '32 bit integers of the cut'
    if scale > (1.5 * 10**6 if classes == 2 else 2**31):
        with pytest.raises(ValueError, match=message):
            check_cut(labels, classes, settings)
        with pytest.raises(ValueError, match=message):
            consensus(image, labels, classes, settings)
    else:
        check_cut(labels, classes, settings)


@pytest.mark.parametrize('ndim, neighbours', [(2, 6), (3, 4), (3, 8), (None, 5)])
def test_neighbours_of_images_and_volumes(ndim, neighbours):
    with pytest.raises(ValueError, match=f'neighbours={neighbours} must be one of'):
        ConsensusSettings(neighbours=neighbours).check(ndim)
    ConsensusSettings(neighbours={2: 8, 3: 6}.get(ndim)).check(ndim)
