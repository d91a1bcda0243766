# Copyright (c) mmseg_ctt contributors.
"""Random resized crops, and the noise of their colours."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import exemplar as reference
from versions import COMPILE

from mmseg_ctt.functional import hsv_noise, random_crop_boxes, resized_crops

B, V, C, H, W = 2, 3, 2, 12, 20
AREA, ASPECT = (0.1, 1.0), (0.75, 1.33)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=B, channels=C, dtype=torch.float32):
    return torch.rand(batch, channels, H, W, generator=generator(), dtype=dtype)


def whole(batch=B):
    return torch.tensor([[H, W]] * batch)


# ---- boxes


@pytest.mark.parametrize('area, aspect', [(AREA, ASPECT), ((0.3, 0.4), (0.5, 3.0))])
@pytest.mark.parametrize('size', [(H, W), (30, 5)])  # a narrow image cannot have every box
def test_boxes_equal_loops(area, aspect, size):
    noise = torch.rand(4, V, 4, generator=generator())
    got = random_crop_boxes(noise, torch.tensor([size] * 4), area, aspect)
    for b, v in np.ndindex(4, V):
        want = reference.box(noise[b, v].double().tolist(), size, area, aspect)
        assert got[b, v].tolist() == pytest.approx(want, rel=1e-4, abs=1e-4)


def test_boxes_stay_inside_and_spread():
    noise = torch.rand(3, 500, 4, generator=generator())
    size = torch.tensor([[H, W], [20, 20], [7, 9]])  # of images with different padding
    top, left, rows, columns = random_crop_boxes(noise, size).unbind(-1)
    height, width = size.unsqueeze(1).unbind(-1)
    assert (top >= 0).all() and (left >= 0).all() and (rows >= 1).all() and (columns >= 1).all()
    assert (top + rows <= height + 1e-3).all() and (left + columns <= width + 1e-3).all()
    area, aspect = rows * columns / (height * width), columns / rows
    assert 0.0999 < area.min() < 0.12 and 0.9 < area.max() <= 1.0001
    assert 0.7499 < aspect.min() < 0.76 and 1.32 < aspect.max() < 1.3301


@pytest.mark.parametrize(
    'name, value', [('area', (0.5, 1.2)), ('area', (0.0, 1.0)), ('aspect', (2.0, 1.0))]
)
def test_bad_ranges(name, value):
    with pytest.raises(ValueError, match=f'{name} must be a range'):
        random_crop_boxes(torch.rand(B, V, 4), whole(), **{name: value})


# ---- crops


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('size', [(4, 4), (9, 16)])
def test_crops_equal_cutting_and_resizing(flip, size):
    image = images()
    boxes = torch.tensor([[[0, 0, H, W], [2, 3, 5, 7], [7, 1, 5, 19]]] * B)
    flips = torch.full((B, V), flip)
    got = resized_crops(image, boxes, size, flips)
    for v, (top, left, rows, columns) in enumerate(boxes[0].tolist()):
        cut = image[:, :, top : top + rows, left : left + columns]
        want = F.interpolate(cut, size, mode='bilinear', align_corners=False)
        torch.testing.assert_close(got[:, v], want.flip(3) if flip else want)


def test_crops_equal_loops():
    image, noise = images(), torch.rand(B, V, 4, generator=generator(1))
    flips = torch.rand(B, V, generator=generator(2)) < 0.5
    boxes = random_crop_boxes(noise, whole())
    got = resized_crops(image, boxes, (6, 5), flips)
    for b, v in np.ndindex(B, V):
        found = boxes[b, v].double().numpy()
        want = reference.resized(image[b].double().numpy(), found, (6, 5), bool(flips[b, v]))
        np.testing.assert_allclose(got[b, v].numpy(), want, rtol=1e-4, atol=1e-4)
    assert flips.any() and not flips.all()


def test_padding_is_never_read():
    image, size = images(), torch.tensor([[H, 9], [7, W]])
    valid = torch.zeros(B, 1, H, W, dtype=torch.bool)
    for b, (height, width) in enumerate(size.tolist()):
        valid[b, :, :height, :width] = True
    boxes = random_crop_boxes(torch.rand(B, 200, 4, generator=generator()), size)
    clean = resized_crops(image, boxes, (16, 16))
    spoilt = resized_crops(image.masked_fill(~valid, 1e6), boxes, (16, 16))
    assert clean.max() <= 1 and spoilt.max() <= 1 + 1e-3


def test_gradient():
    image = images(dtype=torch.float64).requires_grad_()
    boxes = random_crop_boxes(torch.rand(B, V, 4, generator=generator()), whole()).double()
    assert torch.autograd.gradcheck(lambda x: resized_crops(x, boxes, (3, 4)), image)


# ---- colours


def test_hsv_noise_equals_loops():
    image, noise = images(4, 3), torch.rand(4, 7, generator=generator(1))
    image[0] = 0.5  # grey has no hue
    image[1, :, :4] = 0  # nor has black
    got = hsv_noise(image, noise)
    for b in range(4):
        want = reference.hsv_noise(image[b].numpy(), noise[b].double().numpy())
        np.testing.assert_allclose(got[b].numpy(), want, atol=2e-4)
    assert (got - image).abs().amax((1, 2, 3)).min() > 0.01
    assert torch.equal(image[2:], images(4, 3)[2:])  # is left alone


def test_without_noise_an_image_stays():
    image = images(2, 3)
    torch.testing.assert_close(hsv_noise(image, torch.full((2, 7), 0.5)), image)


# ---- families, of views with their colours


def views(image, noise, colours):
    boxes = random_crop_boxes(noise, image.new_full((B, 2), float(H)))
    crops = resized_crops(image, boxes, (8, 8), noise[..., 0] < 0.5)
    return hsv_noise(crops.flatten(0, 1), colours)


def arguments():
    colours = torch.rand(B * V, 7, generator=generator(2))
    return images(channels=3), torch.rand(B, V, 4, generator=generator(1)), colours


def test_half_precision_around_it():
    want = views(*arguments())
    with torch.autocast('cpu', torch.bfloat16):
        got = views(*arguments())
    assert got.dtype == torch.float32 and torch.equal(got, want)


def test_nothing_waits_for_the_device():
    given = arguments()
    assert record(lambda: views(*given)) == []


@COMPILE
def test_compiled():
    torch._dynamo.reset()
    compiled = torch.compile(views, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(*arguments()), views(*arguments()))
    torch._dynamo.reset()
