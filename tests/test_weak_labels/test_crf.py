# Copyright (c) mmseg_ctt contributors.
"""Dense CRF around labels and saliency, where its library is installed."""

import builtins

import numpy as np
import pytest

from mmseg_ctt.weak_labels.crf import (
    check_library,
    dense_crf,
    label_crf,
    probability_crf,
    saliency_crf,
    saliency_energy,
)

try:
    check_library()
    MISSING = ''
except ValueError as error:
    MISSING = str(error)
needs_library = pytest.mark.skipif(
    bool(MISSING),
    reason=f'{MISSING}. No requirement of the tests has it, since a compiler builds it; energies '
    'and the message without it, are tested here in any case',
)


def halves(height=20, width=30):
    """Image of two colours, red first, and the side of each pixel."""
    side = (np.arange(width) >= width // 2)[np.newaxis].repeat(height, 0)
    return np.where(side[..., None], (200, 40, 40), (40, 40, 200)).astype(np.uint8), side


def test_without_the_library(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith('pydensecrf'):
            raise ModuleNotFoundError(name)
        return load(name, *args, **kwargs)

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(builtins, '__import__', refuse)
    monkeypatch.setattr('mmseg_ctt.volumes.libraries.import_module', missing)
    with pytest.raises(ValueError, match=r'mmseg_ctt\[crf\].*--refine pamr'):
        check_library()


def test_energy_of_saliency():
    """By hand: at 0.5 both are log(2) / (1.05 sigmoid(0.5))."""
    energy = saliency_energy(np.array([[0.5, 1.0]], np.float32))
    assert energy.shape == (2, 1, 2) and energy.dtype == np.float32
    assert energy[:, 0, 0] == pytest.approx(0.693147 / (1.05 * 0.622459), rel=1e-5)
    assert energy[0, 0, 1] == pytest.approx(18.420681 / (1.05 * 0.5), rel=1e-5)  # log(1e8)
    assert abs(energy[1, 0, 1]) < 1e-6


def test_a_label_of_one_class_stays():
    label = np.full((4, 5), 3, np.uint8)
    label[0] = 255
    got = label_crf(np.zeros((4, 5, 3), np.uint8), label)
    assert np.array_equal(got, label) and got is not label


@needs_library
def test_label_takes_the_edge_of_the_image():
    image, side = halves()
    label = np.where(np.roll(side, 2, axis=1), 5, 2).astype(np.uint8)
    label[:2] = 255
    got = label_crf(image, label)
    assert (got[:2] == 255).all() and got.dtype == np.uint8
    want = np.where(side, 5, 2)[2:]
    assert (got[2:] == want).mean() > 0.99 > (label[2:] == want).mean()


@needs_library
def test_saliency_and_probabilities_take_the_edge_of_the_image():
    image, side = halves()
    moved = np.where(np.roll(side, 2, axis=1), 0.7, 0.3).astype(np.float32)
    refined = saliency_crf(image, moved)
    assert refined.shape == side.shape and 0 <= refined.min() <= refined.max() <= 1
    assert ((refined > 0.5) == side).mean() > ((moved > 0.5) == side).mean()
    probability = probability_crf(image, np.stack([1 - moved, moved]))
    np.testing.assert_allclose(probability.sum(0), 1, atol=1e-5)
    assert ((probability[1] > 0.5) == side).mean() > 0.99


@needs_library
def test_another_size():
    from mmseg_ctt.weak_labels.crf import TEST_TERMS

    with pytest.raises(ValueError, match='needs an image'):
        dense_crf(np.zeros((4, 6, 3), np.uint8), np.zeros((2, 4, 5), np.float32), TEST_TERMS)
