# Copyright (c) mmseg_ctt contributors.
"""Square crops and quarter turns: values of numpy, and what is refused."""

import numpy as np
import pytest
import torch
from no_sync import record

from mmseg_ctt.functional.rotation import quarter_turns, square_crops


def maps(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_a_turn_is_that_of_numpy():
    image = maps(4, 3, 5, 5)
    turned = quarter_turns(image, torch.tensor([0, 1, 2, 3]))
    for k in range(4):
        want = np.rot90(image[k].numpy(), k, axes=(1, 2))
        assert np.array_equal(turned[k].numpy(), want)


def test_crops_are_slices():
    image = maps(3, 2, 6, 9)
    crops = square_crops(image, 4, torch.tensor([0, 2, 1]), torch.tensor([5, 0, 3]))
    for crop, whole, top, left in zip(crops, image, (0, 2, 1), (5, 0, 3)):
        assert torch.equal(crop, whole[:, top : top + 4, left : left + 4])


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match='side=7 is larger than maps of'):
        square_crops(maps(1, 1, 6, 9), 7, torch.zeros(1).long(), torch.zeros(1).long())
    with pytest.raises(ValueError, match='only square maps'):
        quarter_turns(maps(1, 1, 6, 9), torch.zeros(1).long())


def test_nothing_waits_for_the_device():
    image, zero = maps(3, 2, 6, 9), torch.zeros(3).long()
    assert record(lambda: quarter_turns(square_crops(image, 6, zero, zero), zero)) == []
