# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from reference import ael as reference
from scipy import ndimage

from mmseg_ctt.functional import connected_components
from mmseg_ctt.methods.ael.functional import (
    choose_partner,
    class_draw_probability,
    class_mask,
    object_box,
    sample_index,
    tail_classes,
)


def many(number, seed=0):
    return torch.rand(number, generator=torch.Generator().manual_seed(seed))


def snake(side):
    """One component that winds through the whole map: rows joined at alternating ends."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    return mask


def spiral(side):
    """One component that winds inwards."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    y = x = 0
    step, lengths = (0, 1), [side - 1] * 3 + [n for n in range(side - 3, 0, -2) for _ in (0, 1)]
    mask[0, 0] = True
    for length in lengths:
        for _ in range(length):
            y, x = y + step[0], x + step[1]
            mask[y, x] = True
        step = step[1], -step[0]
    return mask


# ---- connected components


def check_components(mask):
    """Against scipy's."""
    for image, roots in zip(mask, connected_components(mask)):
        want, number = ndimage.label(image.numpy(), [[1] * 3] * 3)
        want = torch.from_numpy(want).flatten()
        assert torch.equal(roots >= 0, image)
        for k in range(1, number + 1):
            index = (want == k).nonzero()
            assert (roots.flatten()[index] == index.max()).all()


@pytest.mark.parametrize('density', [0.0, 0.1, 0.3, 0.4, 0.45, 0.5, 0.6, 0.8, 1.0])
@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (7, 1), (23, 31), (64, 48)])
def test_components_of_noise(density, shape):
    check_components(many(2 * shape[0] * shape[1]).view(2, *shape) < density)


@pytest.mark.parametrize('side', [4, 9, 16, 33, 64, 129])
def test_components_that_wind(side):
    winding = torch.stack([snake(side), snake(side).t(), snake(side).flip(0, 1), spiral(side)])
    assert all(len(reference.components(one)) == 1 for one in winding)
    check_components(winding)


# ---- draws


def test_index_is_drawn_by_weight():
    weight = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0])
    index = sample_index(weight.expand(4000, 5), many(4000))
    share = torch.bincount(index, minlength=5) / 4000
    torch.testing.assert_close(share, weight / 4, atol=0.03, rtol=0)
    assert share[[0, 2, 4]].sum() == 0
    ends = sample_index(weight.expand(2, 5), torch.tensor([0.0, 1 - 2**-24]))
    assert ends.tolist() == [1, 3]


def test_class_probability():
    conf = torch.tensor([0.9, 0.1, 0.5])
    torch.testing.assert_close(class_draw_probability(conf), (1 - conf).softmax(0))
    torch.testing.assert_close(class_draw_probability(conf, 0.5), (1 - conf).sqrt().softmax(0))
    some = class_draw_probability(conf, 0.5, torch.tensor([True, False, True]))
    torch.testing.assert_close(some[[0, 2]], (1 - conf[[0, 2]]).sqrt().softmax(0))
    assert some[1] == 0
    assert class_draw_probability(conf, 1.0, torch.zeros(3, dtype=torch.bool)).tolist() == [0] * 3


def test_tail_classes():
    pixels = torch.tensor([70, 10, 15, 5])
    assert tail_classes(pixels).tolist() == [False, True, True, True]
    assert tail_classes(pixels, 0.5).tolist() == [False, True, False, True]
    assert tail_classes(torch.zeros(4)).all() and tail_classes(torch.ones(4)).all()
    assert tail_classes(torch.tensor([9, 0])).tolist() == [False, True]  # never labelled


def test_class_mask():
    label = torch.tensor([[[0, 1], [2, 255]], [[0, 1], [2, -1]]])
    chosen = torch.tensor([[True, False, True], [False, False, True]])
    want = [[[True, False], [True, False]], [[False, False], [True, False]]]
    assert class_mask(label, chosen).tolist() == want


def test_partner_shows_the_wanted_class_if_any_does():
    area = torch.tensor([[0.5, 0.0], [0.2, 0.3], [0.4, 0.3], [0.9, 0.0]])
    wanted = torch.tensor([1, 1, 1, 0])
    drawn = torch.stack([choose_partner(area, wanted, 0.3, u.expand(4)) for u in many(200)])
    assert [sorted(set(column)) for column in drawn.t().tolist()] == [[1, 2], [2], [1], [0, 2]]
    nobody = torch.stack([choose_partner(area, wanted, 0.95, u.expand(4)) for u in many(200)])
    assert [sorted(set(column)) for column in nobody.t().tolist()] == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]
    assert choose_partner(area[:1], wanted[:1], 0.3, torch.zeros(1)).tolist() == [0]


# ---- boxes


def boxes_of(mask, least):
    """Boxes of the components that are large enough, as masks."""
    made = []
    for part in reference.components(mask):
        if len(part) > least * mask.numel():
            top, bottom, left, right = reference.box(part)
            one = torch.zeros_like(mask)
            one[top : bottom + 1, left : right + 1] = True
            made.append(one)
    return made


@pytest.mark.parametrize('least', [0.0, 0.02, 0.1, 0.9])
def test_box_of_any_large_component(least):
    mask = many(12 * 16, seed=4).view(1, 12, 16) < 0.35
    allowed = boxes_of(mask[0], least)
    seen = set()
    for u in many(120, seed=1):
        box, found = object_box(mask, (12, 16), least, u.view(1))
        assert found.tolist() == [bool(allowed)]
        if not allowed:
            assert not box.any()
            continue
        index = [i for i, one in enumerate(allowed) if torch.equal(one, box[0])]
        assert index
        seen.add(index[0])
    assert len(seen) == len({tuple(one.flatten().tolist()) for one in allowed})
    assert (least == 0.9) == (not allowed) and (least > 0 or len(seen) > 3)


@pytest.mark.parametrize('size', [(12, 16), (24, 32), (23, 35), (6, 8)])
def test_box_is_scaled_to_the_image(size):
    mask = torch.zeros(1, 12, 16, dtype=torch.bool)
    mask[0, 3:7, 5:9] = True
    box, _ = object_box(mask, size, 0.01, torch.zeros(1))
    at = torch.nn.functional.interpolate(mask[None].float(), size, mode='nearest')[0].bool()
    assert torch.equal(box, at)


def test_each_image_has_its_own_box():
    mask = torch.zeros(3, 8, 8, dtype=torch.bool)
    mask[0, :2], mask[2, :, 5:] = True, True
    box, found = object_box(mask, (8, 8), 0.1, many(3))
    assert torch.equal(box, mask) and found.tolist() == [True, False, True]


def test_nothing_waits_for_the_device():
    mask, uniform = many(128).view(2, 8, 8) < 0.4, many(2)
    label, conf, area = torch.randint(0, 4, (2, 8, 8)), torch.rand(4), torch.rand(2, 4)

    def step():
        allowed = tail_classes(area.sum(0))
        wanted = sample_index(class_draw_probability(conf, 0.5, allowed), uniform)
        choose_partner(area, wanted, 0.3, uniform)
        class_mask(label, area > 0.5)
        object_box(mask, (16, 16), 0.01, uniform)

    assert record(step) == []
