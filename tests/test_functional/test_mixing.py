# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from reference import mixing as reference

from mmseg_ctt.functional import class_mix_mask, cut_mix_mask, mix


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def labels_of(shape, k, ignored=0.2, seed=0):
    label = torch.randint(0, k, shape, generator=generator(seed))
    return label.masked_fill(torch.rand(shape, generator=generator(seed + 1)) < ignored, 255)


# ---- ClassMix


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('shape,k', [((1, 5, 6), 7), ((3, 4, 4), 3), ((2, 8, 3), 19)])
def test_class_mask_equals_loops(shape, k, seed):
    label = labels_of(shape, k, seed=seed)
    keys = torch.rand(shape[0], k, generator=generator(seed))
    chosen = [reference.chosen_classes(one, key) for one, key in zip(label, keys)]
    mask = class_mix_mask(label, keys=keys)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, reference.class_mask(label, chosen))


@pytest.mark.parametrize('round_up', [False, True])
@pytest.mark.parametrize('ignore_index', [255, 0, 3])
def test_half_of_the_classes_are_chosen_whole_and_never_the_ignored_one(ignore_index, round_up):
    label = torch.randint(0, 6, (20, 6, 6), generator=generator(3))
    label[label == 5] = 255
    mask = class_mix_mask(label, generator(7), ignore_index, round_up=round_up)
    for one, chosen in zip(label, mask):
        present = set(one.unique().tolist()) - {ignore_index}
        inside, outside = set(one[chosen].tolist()), set(one[~chosen].tolist())
        assert len(inside) == (len(present) + round_up) // 2
        assert not inside & outside and ignore_index not in inside


def test_every_class_has_the_same_chance():
    label = torch.arange(4).repeat(4000, 1).view(4000, 2, 2)
    share = class_mix_mask(label, generator()).float().mean(0).flatten()
    assert (share - 0.5).abs().max() < 0.04  # five standard deviations


@pytest.mark.parametrize('value', [4, 255])
def test_one_class_or_none_gives_an_empty_mask(value):
    label = torch.full((2, 3, 3), value)
    assert not class_mix_mask(label, generator()).any()
    mask = class_mix_mask(label, generator(), round_up=True)
    assert mask.all() if value != 255 else not mask.any()


def test_generator_decides():
    label = labels_of((4, 8, 8), 12)
    first = class_mix_mask(label, generator(5))
    assert torch.equal(first, class_mix_mask(label, generator(5)))
    assert not torch.equal(first, class_mix_mask(label, generator(6)))


def test_images_are_cut_independently():
    label = torch.arange(8).repeat(16, 1).view(16, 2, 4)
    masks = {tuple(one.flatten().tolist()) for one in class_mix_mask(label, generator())}
    assert len(masks) > 5


# ---- CutMix


def rectangle(mask):
    """Side lengths of the True rectangle of one image; fails if it is none."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert mask.sum() == len(rows) * len(columns)
    return len(rows), len(columns)


@pytest.mark.parametrize(
    'side,low,high', [((64, 64), 0.48, 0.52), ((33, 65), 0.475, 0.525), ((321, 321), 0.496, 0.504)]
)
def test_cut_mask_is_one_rectangle_of_half_the_area(side, low, high):
    masks = cut_mix_mask(torch.zeros(30, *side), generator(1))
    assert masks.dtype == torch.bool and masks.shape == (30, *side)
    shares = [rectangle(mask) for mask in masks]
    areas = [h * w / (side[0] * side[1]) for h, w in shares]
    assert low < min(areas) and max(areas) < high
    heights = [h / side[0] for h, _ in shares]
    assert min(heights) < 0.6 and max(heights) > 0.85  # 0.5 ** u spans [0.5, 1]


def test_cut_mask_follows_its_noise():
    noise = torch.tensor([[0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.999], [0.0, 1.0, 0.999, 0.0]])
    masks = cut_mix_mask(torch.zeros(3, 10, 20), noise=noise, area=(0.25, 0.25))
    want = torch.zeros(3, 10, 20, dtype=torch.bool)
    want[0, :5, :10] = True  # sides 0.25 ** 0.5, from the corner
    want[1, :, 15:] = True  # height 0.25 ** 0, the last place across
    want[2, 8:, :] = True  # height 0.25 ** 1 (2.5 rounds to even), the last place down
    assert torch.equal(masks, want)


def test_cut_area_range():
    masks = cut_mix_mask(torch.zeros(200, 50, 50), generator(2), area=(0.1, 0.4))
    shares = masks.flatten(1).float().mean(1)
    assert 0.08 < shares.min() < 0.15 and 0.35 < shares.max() < 0.42


def test_cut_places_reach_every_border():
    masks = cut_mix_mask(torch.zeros(300, 16, 16), generator(3), area=(0.2, 0.2))
    assert masks[:, 0].any() and masks[:, -1].any()
    assert masks[:, :, 0].any() and masks[:, :, -1].any()


# ---- pasting


@pytest.mark.parametrize('shift', [1, 2, 5])
@pytest.mark.parametrize('dtype', [torch.float32, torch.int64, torch.bool, torch.bfloat16])
@pytest.mark.parametrize('channels', [None, 1, 3])
def test_mix_equals_loops(channels, dtype, shift):
    shape = (4, 5, 6) if channels is None else (4, channels, 5, 6)
    tensor = (torch.rand(shape, generator=generator(1)) * 9).to(dtype)
    if dtype == torch.bool:
        tensor = torch.rand(shape, generator=generator(1)) < 0.5
    mask = torch.rand(4, 5, 6, generator=generator(2)) < 0.5
    got = mix(tensor, mask, shift)
    assert got.dtype == dtype and torch.equal(got, reference.paste(tensor, mask, shift))


def test_mix_with_a_full_and_an_empty_mask():
    tensor = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 2, 2, 2)
    full = torch.ones(3, 2, 2, dtype=torch.bool)
    assert torch.equal(mix(tensor, full), tensor)
    assert torch.equal(mix(tensor, ~full)[:, 0, 0, 0], torch.tensor([1.0, 2.0, 0.0]))
