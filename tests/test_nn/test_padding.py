# Copyright (c) mmseg_ctt contributors.
import torch
from mmseg.structures import SegDataSample

from mmseg_ctt.nn.padding import valid_mask


def samples(*shapes):
    return [SegDataSample(metainfo=dict(img_shape=shape)) for shape in shapes]


def test_none_where_nothing_is_padded():
    assert valid_mask(samples((4, 6), (4, 6)), torch.zeros(2, 3, 4, 6)) is None


def test_padding_is_right_and_below():
    mask = valid_mask(samples((4, 6), (2, 5), (4, 1)), torch.zeros(3, 3, 4, 6))
    want = torch.zeros(3, 4, 6, dtype=torch.bool)
    want[0], want[1, :2, :5], want[2, :, :1] = True, True, True
    assert torch.equal(mask, want)
