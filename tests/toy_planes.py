# Copyright (c) mmseg_ctt contributors.
"""Config of multi-planar co-training on toy volumes."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from toy import toy_segmentor
from toy_data import toy_config

from mmseg_ctt.engine import prepare_config

CROP = (8, 8)
PREFIX = dict(img_path='images', seg_map_path='labels')


def volume_set(root: Path, labels: bool, random: bool, **changes: Any) -> dict:
    """Config of a set of slices."""
    steps = [dict(type='LoadImageFromFile')]
    if labels:
        steps += [dict(type='LoadAnnotations'), dict(type='CheckSegMap', num_classes=2)]
    if random:
        steps += [dict(type='RandomCrop', crop_size=CROP), dict(type='RandomFlip', prob=0.5)]
    return dict(
        type='VolumeSliceDataset',
        data_root=str(root),
        data_prefix=PREFIX if labels else dict(img_path='images'),
        pipeline=[*steps, dict(type='PackSegInputs')],
        **changes,
    )


def plane_config(root: Path, method: str = '', iters: int = 2, **settings: Any) -> Config:
    """Config of a toy network on the volumes of :func:`write_toy_volumes`.

    Args:
        root: Folder of the volumes.
        method: Name of a class that trains the network; '' for the network alone.
        iters: Iterations of a training.
        settings: Of self-training.
    """
    network = toy_segmentor(num_classes=2)
    network['data_preprocessor']['size'] = CROP
    cfg = toy_config(
        root,
        root / 'unused',
        model=dict(type=method, segmentor=network) if method else network,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iters, val_interval=100),
        hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=iters)),
    )
    for name in ('val_dataloader', 'test_dataloader'):
        tested = volume_set(root, True, random=False, ann_file='splits/val.txt')
        cfg[name] = dict(cfg[name], dataset=tested)
    cfg.train_dataloader.dataset = dict(
        type='LabeledUnlabeledDataset',
        labeled=volume_set(root, True, random=True),
        unlabeled=volume_set(root, False, random=True),
        split='splits',
    )
    cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=int(bool(method)))
    cfg.self_training = {'type': 'MultiPlanar', **settings}
    return prepare_config(cfg)
