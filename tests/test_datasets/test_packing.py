# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS

from mmseg_ctt.datasets.packing import PackSemiSegInputs
from mmseg_ctt.nn.images import Images


def results(height=8, width=10, channels=None):
    shape = (height, width) if channels is None else (height, width, channels)
    return dict(
        img=np.zeros((height, width, 3), np.uint8),
        img_shape=(height, width),
        gt_seg_map=np.arange(height * width, dtype=np.uint8).reshape(height, width),
        weight=np.arange(np.prod(shape), dtype=np.float64).reshape(shape),
        seg_fields=['gt_seg_map', 'weight'],
    )


@pytest.mark.parametrize('channels', [None, 1, 2])
def test_maps_are_packed(channels):
    given = results(channels=channels)
    packed = PackSemiSegInputs(maps=['weight']).transform(given)
    data = packed['data_samples'].weight.data
    assert data.shape == (channels or 1, 8, 10) and data.dtype == torch.float32
    want = np.atleast_3d(given['weight']).transpose(2, 0, 1).astype(np.float32)
    assert np.array_equal(data, want)
    assert packed['inputs'].shape == (3, 8, 10)
    assert packed['data_samples'].gt_sem_seg.shape == (8, 10)


def test_a_map_goes_the_way_of_the_labels():
    given = results()
    given['weight'] = given['gt_seg_map'].astype(np.float32)  # what moves them apart shows
    steps = [
        dict(type='RandomResize', scale=(20, 16), ratio_range=(0.5, 1.5), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(6, 7)),
        dict(type='RandomFlip', prob=1.0),
        dict(type='RandomRotate', prob=1.0, degree=(40, 45), seg_pad_val=255),
        dict(type='PackSemiSegInputs', maps=('weight',)),
    ]
    np.random.seed(0)
    sample = Compose([TRANSFORMS.build(step) for step in steps])(given)['data_samples']
    label = sample.gt_sem_seg.data
    assert (label == 255).any() and len(label.unique()) > 5
    assert torch.equal(sample.weight.data, label.float())


def test_a_missing_map_and_one_of_another_size():
    with pytest.raises(ValueError, match='maps has depth, which no step before it gives'):
        PackSemiSegInputs(maps=['depth']).transform(results())
    given = results()
    given['weight'] = given['weight'][:4]
    with pytest.raises(ValueError, match=r'map weight is of \(4, 10\) and the image of \(8, 10\)'):
        PackSemiSegInputs(maps=['weight']).transform(given)


def test_maps_of_padded_images():
    samples = []
    for width in (10, 7):
        made = PackSemiSegInputs(maps=['weight']).transform(results(width=width, channels=2))
        samples.append(made['data_samples'])
    maps = Images(torch.zeros(2, 3, 9, 12), samples).maps('weight')
    assert maps.shape == (2, 2, 9, 12)
    assert torch.equal(maps[1, :, :8, :7], samples[1].weight.data)
    assert not maps[1, :, 8:].any() and not maps[1, :, :, 7:].any()
