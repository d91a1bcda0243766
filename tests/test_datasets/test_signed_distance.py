# Copyright (c) mmseg_ctt contributors.
"""Signed distance maps: against a restatement, and objects of every shape."""

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS
from reference import dtc as reference

from mmseg_ctt.datasets.signed_distance import (
    BOUNDARY,
    EMPTY,
    GenerateSignedDistance,
    signed_distance,
)


def blob(shape, seed=0):
    """Objects of random size, thick and thin ones."""
    random = np.random.RandomState(seed)
    mask = random.rand(*shape) < 0.08
    mask[tuple(slice(1, 5) for _ in shape)] = True
    return mask


@pytest.mark.parametrize('empty', EMPTY)
@pytest.mark.parametrize('boundary', BOUNDARY)
@pytest.mark.parametrize('shape', [(9, 8), (6, 7, 5)])
@pytest.mark.parametrize('unknown', [False, True])
def test_against_the_restatement(shape, unknown, empty, boundary):
    mask = blob(shape)
    known = np.random.RandomState(1).rand(*shape) < (0.8 if unknown else 2)
    for given in (mask, mask & False, mask | True):
        got = signed_distance(given, known, empty, boundary)
        want = reference.signed_distance(given, known, empty, boundary)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_the_sign_is_the_label_at_every_pixel():
    for seed in range(5):
        mask = blob((9, 8), seed)
        made = signed_distance(mask)
        assert np.array_equal(made < 0, mask) and (made != 0).all()
        assert made.min() == -1 and made.max() == 1


def test_objects_without_an_inside():
    """One pixel and a line are borders alone: zeros in the released code, negative here."""
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True
    assert signed_distance(mask)[3, 3] == -1
    assert signed_distance(mask, boundary='zero').min() == 0
    mask[3] = True
    assert (signed_distance(mask)[3] == -1).all()
    assert not signed_distance(mask, boundary='zero')[3].any()


@pytest.mark.parametrize('empty, value', [('ones', 1), ('zeros', 0)])
def test_absent_objects(empty, value):
    assert (signed_distance(np.zeros((4, 5), bool), empty=empty) == value).all()


@pytest.mark.parametrize('boundary', BOUNDARY)
def test_objects_that_fill_the_image(boundary):
    """The released code divides 0 by 0."""
    assert (signed_distance(np.ones((4, 5), bool), boundary=boundary) == -1).all()


def test_the_border_of_the_image_is_no_border_of_the_object():
    mask = np.zeros((5, 6), bool)
    mask[:, :3] = True
    made = signed_distance(mask, boundary='zero')
    assert (made[:, 0] == -1).all() and not made[:, 2].any()


def test_unknown_pixels():
    """They are of neither side: the nearest known pixel counts, and their own value is 0."""
    mask = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], bool)
    known = np.array([[1, 1, 0, 0, 1, 1, 1, 1]], bool)
    made = signed_distance(mask, known)
    np.testing.assert_allclose(made[0], [-1, -0.75, 0, 0, 0.5, 2 / 3, 5 / 6, 1])
    assert not signed_distance(mask, known, boundary='zero')[0, 2:4].any()
    assert not signed_distance(mask, known & False).any()
    only = signed_distance(mask, mask)
    assert (only[mask] == -1).all() and not only[~mask].any()


# ---- the step


def results(label, **given):
    return dict(gt_seg_map=label, seg_fields=['gt_seg_map'], **given)


def test_maps_of_the_classes_in_their_order():
    label = np.array([[0, 0, 1, 1], [2, 2, 1, 255], [2, 2, 0, 0]], np.uint8)
    made = GenerateSignedDistance(0).transform(results(label, num_classes=4))
    maps = made['signed_distance']
    assert maps.shape == (3, 4, 3) and maps.dtype == np.float32
    assert made['seg_fields'] == ['gt_seg_map', 'signed_distance']
    known = label != 255
    for i, k in enumerate((1, 2, 3)):
        want = reference.signed_distance(label == k, known)
        np.testing.assert_allclose(maps[..., i], want, atol=1e-6)
    assert not maps[1, 3].any() and (maps[..., 2][known] == 1).all()


def test_every_class_and_another_background():
    label = np.array([[0, 1], [2, 2]], np.uint8)
    every = GenerateSignedDistance(None).transform(results(label, num_classes=3))['signed_distance']
    assert every.shape == (2, 2, 3)
    some = GenerateSignedDistance(1, num_classes=3).transform(results(label))['signed_distance']
    assert np.array_equal(some, every[..., [0, 2]])


@pytest.mark.parametrize('number, classes', [(1, [0]), (2, [1]), (3, [0, 1, 2])])
def test_two_classes_have_one_map_and_more_have_one_each(number, classes):
    assert GenerateSignedDistance().classes(number) == classes


def test_ignore_index_of_the_data_set():
    label = np.array([[1, 0, 9, 9]], np.int16)
    made = GenerateSignedDistance(num_classes=2).transform(results(label, ignore_index=9))
    assert made['signed_distance'][..., 0].tolist() == [[-1, 1, 0, 0]]


def test_settings_are_those_of_the_function():
    label = np.zeros((3, 3), np.uint8)
    label[1, 1] = 1
    step = GenerateSignedDistance(0, empty='zeros', boundary='zero', num_classes=3)
    maps = step.transform(results(label))['signed_distance']
    assert maps[1, 1, 0] == 0 and maps[..., 0].max() == 1 and not maps[..., 1].any()


@pytest.mark.parametrize(
    'given, message',
    [
        (dict(empty='none'), "empty must be one of ('ones', 'zeros'), got 'none'"),
        (dict(boundary='outer'), "boundary must be one of ('inside', 'zero'), got 'outer'"),
        (dict(background=-1), "background must be a class, 'auto' or None, got -1"),
        (dict(background='0'), "background must be a class, 'auto' or None, got '0'"),
        (dict(background=3, num_classes=3), 'background=3 is none of 3 classes'),
        (dict(background=0, num_classes=1), 'no class besides the background'),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(ValueError) as caught:
        GenerateSignedDistance(**given)
    assert message in str(caught.value) and '\n' not in str(caught.value)


def test_an_unknown_number_of_classes():
    with pytest.raises(ValueError, match='set its num_classes'):
        GenerateSignedDistance().transform(results(np.zeros((2, 2), np.uint8)))


def test_in_a_pipeline():
    """The maps are those of the crop."""
    label = blob((16, 16)).astype(np.uint8)
    image = np.repeat(label[..., None] * 200, 3, axis=2)
    steps = [
        dict(type='RandomCrop', crop_size=(8, 8)),
        dict(type='RandomFlip', prob=1.0),
        dict(type='GenerateSignedDistance', num_classes=2),
        dict(type='PackSemiSegInputs', maps=('signed_distance',)),
    ]
    np.random.seed(0)
    given = results(label, img=image, img_shape=(16, 16))
    sample = Compose([TRANSFORMS.build(step) for step in steps])(given)['data_samples']
    crop = sample.gt_sem_seg.data[0].numpy() == 1
    assert crop.any() and not crop.all()
    want = reference.signed_distance(crop)
    np.testing.assert_allclose(sample.signed_distance.data[0].numpy(), want, atol=1e-6)
