# Copyright (c) mmseg_ctt contributors.
"""Sampled patches and their crops, against loops over pixels."""

import itertools

import numpy as np
import pytest
import torch
from no_sync import record
from reference import patch_matching as reference

from mmseg_ctt.functional import crop_patches, sample_patches
from mmseg_ctt.functional.patch_sampling import SEEDS


def blocks(images=3, classes=4, height=40, width=56, ignored=0.2, seed=0):
    """Labels in blocks of 8x8 pixels, some without one."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (images, height // 8, width // 8), generator=g)
    label = label.repeat_interleave(8, 1).repeat_interleave(8, 2)
    return label.masked_fill(torch.rand(label.shape, generator=g) < ignored, 255)


def numbers(images, patches, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(images, 2 * SEEDS * patches, generator=g)


def check(label, noise, number, sizes, **options):
    """The patches, after a comparison with loops."""
    got = sample_patches(label, noise, number, *sizes, **options)
    for i in range(len(label)):
        box, classes = reference.sample_patches(
            label[i].numpy(), noise[i].numpy(), number, sizes, **options
        )
        assert got.box[i].tolist() == box and got.label[i].tolist() == classes
    return got


@pytest.mark.parametrize('background', [0, 2, None])
@pytest.mark.parametrize('by_overlap,released', list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize('number,sizes', [(2, (2, 2)), (9, (8, 30)), (21, (4, 70))])
def test_patches_equal_loops(number, sizes, by_overlap, released, background):
    options = dict(background=background, by_overlap=by_overlap, released_classes=released)
    for seed in range(2):
        check(blocks(seed=seed), numbers(3, number, seed), number, sizes, **options)


def centre_of(label, box):
    left, top, right, bottom = box.unbind(2)
    assert ((right - left) == (bottom - top)).all() and ((right - left) % 2 == 0).all()
    row, column = (top + bottom) // 2, (left + right) // 2
    return torch.stack([m[y, x] for m, y, x in zip(label, row, column)])


def test_boxes_of_the_right_classes():
    """One of ten on the background, the others on objects; the class is that of the centre."""
    label = blocks(images=6)
    patches = sample_patches(label, numbers(6, 20), 20, 6, 30)
    assert patches.box.shape == (6, 20, 4)
    assert torch.equal(centre_of(label, patches.box), patches.label)
    assert (patches.label[:, 18:] == 0).all() and (patches.label[:, :18] > 0).all()
    side = patches.box[..., 2] - patches.box[..., 0]
    assert side.min() >= 6 and side.max() <= 30 and len(side.unique()) > 5
    every = sample_patches(label, numbers(6, 20), 20, 6, 30, background=None)
    assert (every.label == 0).float().mean() > 0.15  # a class like others


@pytest.mark.parametrize('missing', ['objects', 'background', 'both'])
@pytest.mark.parametrize('released', [False, True])
def test_images_that_lack_a_kind(missing, released):
    label = blocks(ignored=0.1)
    known = label != 255
    present = dict(objects=known & (label == 0), background=known & (label > 0))
    if missing in present:
        label = label.masked_fill(~present[missing], 255)
    else:
        label = torch.full_like(label, 255)
    got = check(label, numbers(3, 9), 9, (8, 20), released_classes=released)
    want = dict(objects={0}, background={1, 2, 3}, both={255})[missing]
    assert set(got.label[:, :8].flatten().tolist()) == want
    last = set(got.label[:, 8].tolist())
    assert last == {0} if released or missing == 'objects' else last <= want


def test_covered_patches_are_left_out_and_fill_up():
    """Seeds that are all one pixel: the first, then those that were left out."""
    label = torch.full((1, 20, 20), 255)
    label[0, 10, 10] = 1
    one = check(label, numbers(1, 9), 9, (8, 8))
    assert (one.box == torch.tensor([6, 6, 14, 14])).all() and (one.label == 1).all()
    label[0, 10, 12] = 2  # covered by 0.75
    label[0, 10, 16] = 3  # covered by 0.25
    noise = numbers(1, 6).view(1, -1, 2)
    noise[0, :25, 0] = torch.tensor([0.1, 0.4, 0.4, 0.8, 0.1]).repeat(5)
    got = check(label, noise.flatten(1), 6, (8, 8))
    assert got.label[0, :5].tolist() == [1, 3, 2, 2, 1]


def test_most_of_their_class_come_first():
    label = torch.zeros(1, 32, 64, dtype=torch.long)
    label[:, 8:24, :16] = 1
    label[:, ::6, 40::6] = 2  # single pixels
    noise = numbers(1, 8, seed=4)
    number_of_two = [
        (sample_patches(label, noise, 8, 6, 6, by_overlap=by).label[0, :7] == 2).sum().item()
        for by in (False, True)
    ]
    assert number_of_two[0] > number_of_two[1]


def test_numbers_just_below_one():
    label = blocks(ignored=0)
    noise = torch.full((3, 2 * SEEDS * 9), 1 - 2**-24)
    patches = check(label, noise, 9, (8, 30))
    assert ((patches.box[..., 2] - patches.box[..., 0]) == 30).all()


@pytest.mark.parametrize(
    'number,sizes,options,message',
    [
        (1, (8, 16), {}, 'num_patches must be at least 2'),
        (0, (8, 16), dict(background=None), 'num_patches must be at least 1'),
        (4, (7, 16), {}, 'min_size must be even'),
        (4, (0, 16), {}, 'min_size must be even'),
        (4, (18, 16), {}, 'at most max_size'),
    ],
)
def test_bad_input(number, sizes, options, message):
    with pytest.raises(ValueError, match=message):
        sample_patches(blocks(), numbers(3, max(1, number)), number, *sizes, **options)


def test_noise_of_another_shape():
    with pytest.raises(ValueError, match=r'noise must be \(3, 40\), got \(3, 90\)'):
        sample_patches(blocks(), numbers(3, 9), 4, 8, 16)


@pytest.mark.parametrize('size', [5, 12, 30])
def test_crops_equal_loops(size):
    g = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 20, 26, generator=g, dtype=torch.float64)
    box = torch.tensor([[3, 4, 15, 16], [-5, -3, 7, 9], [18, 12, 30, 24], [9, 9, 11, 11]])
    box = torch.stack([box, box + 1])
    got = crop_patches(image, box, size)
    assert got.shape == (8, 3, size, size)
    want = [reference.crop(image[i].numpy(), b.tolist(), size) for i in range(2) for b in box[i]]
    np.testing.assert_allclose(got.numpy(), np.stack(want), atol=1e-5)  # the grid is float32


def test_a_crop_of_its_own_size_is_the_image():
    image = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    got = crop_patches(image, torch.tensor([[[0, 0, 16, 16], [-16, 0, 0, 16]]]), 16)
    torch.testing.assert_close(got[:1], image, atol=1e-4, rtol=0)
    assert got[1].abs().max() == 0  # outside


def test_no_host_synchronisation():
    label, noise, image = blocks(), numbers(3, 4), torch.randn(3, 3, 40, 56)

    def call():
        for by_overlap in (False, True):
            box = sample_patches(label, noise, 4, 8, 16, by_overlap=by_overlap).box
            crop_patches(image, box, 8)

    assert record(call) == []
