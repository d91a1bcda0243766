# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
from mmseg.registry import DATASETS, TRANSFORMS

from mmseg_ctt.datasets.camvid import CamVidDataset


def test_registered_with_matching_colours():
    assert DATASETS.get('CamVidDataset') is CamVidDataset
    meta = CamVidDataset.METAINFO
    assert len(meta['classes']) == len(meta['palette']) == 11


def test_suffixes(tmp_path):
    for folder, suffix in (('img', '.jpg'), ('ann', '.png')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f'a{suffix}').touch()
    dataset = CamVidDataset(
        data_root=str(tmp_path), data_prefix=dict(img_path='img', seg_map_path='ann')
    )
    sample = dataset.get_data_info(0)
    assert sample['img_path'].endswith('img/a.jpg')
    assert sample['seg_map_path'].endswith('ann/a.png')
    assert not sample['reduce_zero_label']


def test_real_data(shared_dir):
    root = shared_dir / 'data' / 'camvid'
    meta = json.loads((root / 'meta.json').read_text())
    assert list(CamVidDataset.METAINFO['classes']) == meta['classes']
    assert CamVidDataset.METAINFO['palette'] == meta['palette']
    dataset = CamVidDataset(
        data_root=str(root),
        ann_file='splits/1_8/seed0/labeled.txt',
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        pipeline=[
            TRANSFORMS.build(dict(type='LoadImageFromFile')),
            TRANSFORMS.build(dict(type='LoadAnnotations')),
            TRANSFORMS.build(dict(type='CheckSegMap', num_classes=11)),
        ],
    )
    assert len(dataset) == 46
    sample = dataset[0]
    assert sample['gt_seg_map'].shape == (360, 480)
    ids = np.unique(sample['gt_seg_map'])
    assert ids[ids != 255].max() <= 10
