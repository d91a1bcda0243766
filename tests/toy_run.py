# Copyright (c) mmseg_ctt contributors.
"""A run whose five members predict differently, made of layers that stock mmseg has."""

from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from toy import NUM_CLASSES
from toy_data import CLASSES, PALETTE, toy_config, write_toy_data

MEMBERS = ('student0', 'student1', 'teacher0', 'teacher1')


class ToyRun(NamedTuple):
    """Files of a run, and what they hold."""

    config: Path
    checkpoint: Path
    cfg: Config
    state_dict: dict


def small_segmentor(**changes: Any) -> dict:
    """DeepLabV3+ on two stages of a narrow ResNet-18."""
    norm = dict(type='BN')
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
        ),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            num_stages=2,
            strides=(1, 2),
            dilations=(1, 1),
            out_indices=(0, 1),
            norm_cfg=norm,
            init_cfg=dict(type='Pretrained', checkpoint='absent.pth'),
        ),
        decode_head=dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=16,
            in_index=1,
            channels=8,
            dilations=(1, 2),
            c1_in_channels=8,
            c1_channels=4,
            dropout_ratio=0.1,
            num_classes=NUM_CLASSES,
            norm_cfg=norm,
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
        **changes,
    )


def small_ctt(**changes: Any) -> dict:
    return dict(
        type='CrossTeacherTraining', segmentor=small_segmentor(), bank=dict(size=2), **changes
    )


def shake(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights and statistics that no other network has."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            noise = torch.randn(value.shape, generator=g)
            if 'running_var' in name:
                value.copy_(0.5 + noise.abs())
            elif 'running_mean' in name:
                value.copy_(noise * 0.3)
            elif name.endswith('conv_seg.weight'):
                value.copy_(noise * 0.5)
            elif value.is_floating_point() and not name.endswith('lora_scale'):
                value.add_(noise * 1.5 * value.abs().mean())
    return model


def make_run(tmp_path: Path, model: dict = None, **changes: Any) -> ToyRun:
    """A config and a checkpoint as mmengine would have written it."""
    changes.setdefault('custom_imports', dict(imports=['mmseg_ctt']))
    root = write_toy_data(tmp_path / 'data')
    cfg = toy_config(root, tmp_path / 'work', model=model or small_ctt(), **changes)
    cfg.dump(tmp_path / 'toy.py')
    torch.manual_seed(1)
    state = shake(MODELS.build(cfg.model)).state_dict()
    meta = dict(
        epoch=0,
        iter=40,
        seed=3,
        time='20240102_030405',
        cfg=cfg.pretty_text,
        experiment_name='toy_20240102_030400',
        hook_msgs=dict(last_ckpt='/home/me/a.pth'),
        dataset_meta=dict(
            classes=CLASSES, palette=PALETTE, label_map=None, reduce_zero_label=False
        ),
    )
    optimizer = dict(state={0: torch.zeros(9)})
    torch.save(dict(meta=meta, state_dict=state, optimizer=optimizer), tmp_path / 'iter_40.pth')
    return ToyRun(tmp_path / 'toy.py', tmp_path / 'iter_40.pth', cfg, state)


def stopped_config(
    root: Path,
    work_dir: Path,
    iterations: int,
    resume: Optional[str] = None,
    val_interval: int = 9,
    **changes: Any,
) -> Config:
    """:func:`toy_config` of a run that can be resumed: a checkpoint in every second iteration.

    Args:
        root: Folder of the data.
        work_dir: Of the run.
        iterations: Length of the run; the contrast is on after the first.
        resume: Checkpoint from which it goes on.
        val_interval: Iterations between two validations.
        changes: As of :func:`toy_config`.
    """
    return toy_config(
        root,
        work_dir,
        resume=resume is not None,
        load_from=resume,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=val_interval),
        default_hooks=dict(
            queue_warmup=dict(type='QueueWarmupHook', start_iter=1, interval=1),
            checkpoint=dict(type='SafeCheckpointHook', interval=2),
        ),
        **changes,
    )
