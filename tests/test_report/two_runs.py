# Copyright (c) mmseg_ctt contributors.
"""A semi-supervised and a plain run, as training leaves them, of a few iterations."""

from pathlib import Path
from typing import NamedTuple

from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import CLASSES, CROP, UNLABELED, toy_config, toy_ctt, write_mask, write_toy_data

NASTY = '<img src=x onerror=alert(1)>&amp;'  # the name of a class
SCRIPT = '</pre></script><script>alert(2)</script>'  # in a config
ITERATIONS = 6


class ToyRuns(NamedTuple):
    """Work folders of a semi-supervised and a plain run on the same images."""

    ctt: Path
    plain: Path


def train(root: Path, work_dir: Path, **changes) -> Path:
    cfg = toy_config(
        root,
        work_dir,
        note=SCRIPT,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=3),
        visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
        **changes,
    )
    cfg.default_hooks.checkpoint.interval = 3
    for data in (
        cfg.train_dataloader.dataset.labeled,
        cfg.train_dataloader.dataset.unlabeled,
        cfg.val_dataloader.dataset,
        cfg.test_dataloader.dataset,
    ):
        data.metainfo.classes = (NASTY, *CLASSES[1:])
    Runner.from_cfg(cfg).train()
    return work_dir


def make_toy_runs(folder: Path) -> ToyRuns:
    root = write_toy_data(folder / 'data')
    for seed, stem in enumerate(UNLABELED):
        write_mask(root / 'ann' / f'{stem}.png', seed + 9)
    hooks = dict(
        queue_warmup=dict(type='QueueWarmupHook', start_iter=3, interval=1),
        pseudo_labels=dict(
            type='PseudoLabelHook',
            interval=2,
            num_images=2,
            confidence_threshold=0.2,
            truth=dict(data_prefix=dict(seg_map_path='ann')),
        ),
    )
    ctt = train(root, folder / 'ctt', model={**toy_ctt(), 'bank': dict(size=8)}, hooks=hooks)
    segmentor = toy_segmentor()
    segmentor['data_preprocessor']['size'] = CROP
    plain = train(root, folder / 'plain', model=segmentor, train_dataloader=plain_loader(root))
    return ToyRuns(ctt, plain)


def plain_loader(root: Path) -> dict:
    loader = toy_config(root, root).train_dataloader.to_dict()
    return {
        **loader,
        'batch_size': 2,
        'sampler': dict(type='LabeledUnlabeledSampler', ratio=(1, 0)),
    }
