# Copyright (c) mmseg_ctt contributors.
"""A run on slices of toy volumes whose members predict differently."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from toy import toy_segmentor
from toy_data import toy_config, toy_ctt, write_toy_data
from toy_run import ToyRun, shake
from toy_volumes import write_toy_volumes

CLASSES = ('background', 'box')


def slice_set(root: Path, part: str = 'val', **settings: Any) -> dict:
    """Config of slices with labels."""
    return dict(
        type='VolumeSliceDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        ann_file=f'splits/{part}.txt' if part else '',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(24, 16), keep_ratio=False),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        **settings,
    )


def make_volume_run(tmp_path: Path, model: Any = None, **settings: Any) -> ToyRun:
    """Config and checkpoint of a run that is tested on volumes c and d.

    Args:
        tmp_path: Folder for all files; volumes are in ``volumes``.
        model: Defaults to None: two pairs of CTT.
        settings: Of the test data set.
    """
    root = write_toy_volumes(tmp_path / 'volumes')
    loader = dict(
        batch_size=3,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=slice_set(root, **settings),
    )
    cfg: Config = toy_config(
        write_toy_data(tmp_path / 'images'),
        tmp_path / 'work',
        model=model or toy_ctt(segmentor=toy_segmentor(num_classes=2)),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(type='VolumeMetric'),
        test_evaluator=[dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='VolumeMetric')],
        custom_imports=dict(imports=['mmseg_ctt', 'toy']),
    )
    cfg.dump(tmp_path / 'toy.py')
    torch.manual_seed(1)
    state = shake(MODELS.build(cfg.model)).state_dict()
    meta = dict(dataset_meta=dict(classes=CLASSES, palette=[[0, 0, 0], [255, 0, 0]]))
    torch.save(dict(meta=meta, state_dict=state), tmp_path / 'iter_40.pth')
    return ToyRun(tmp_path / 'toy.py', tmp_path / 'iter_40.pth', cfg, state)
