# Copyright (c) mmseg_ctt contributors.
"""Checks that recipes have in common: of the config, and of steps that come hours later."""

from pathlib import Path
from typing import Any, Callable, Sequence

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from torch import nn

from .round_settings import KEY

DATA = 'train_dataloader.dataset'
MOST_CLASSES = 255  # ids of 8 bits, one of which is ignored


def check_training(cfg: Config, num_classes: int, adds: bool, labelled: str) -> None:
    """Check the parts of a config that training on pseudo-labels depends on.

    Args:
        cfg (Config): Complete config of the base method.
        num_classes (int): Of the data set.
        adds (bool): Whether pseudo-labels are added.
        labelled (str): What the last iteration labels, for messages, such as ``'images of the next
            generation'``.

    Raises:
        ValueError: Names the key and what to set.
    """
    kind = cfg.train_dataloader.dataset.type
    if kind not in ('LabeledUnlabeledDataset', 'SelfTrainingDataset'):
        raise ValueError(
            f'{DATA}.type="{kind}": self-training adds pseudo-labels to a LabeledUnlabeledDataset, '
            'use that'
        )
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if not hook or not hook.get('save_last', True):
        raise ValueError(
            'default_hooks.checkpoint does not save the last iteration, whose weights label the '
            f'{labelled}: set it to dict(type="SafeCheckpointHook")'
        )
    if num_classes > MOST_CLASSES:
        raise ValueError(
            f'{DATA} has {num_classes} classes; pseudo-labels are files of 8 bits with at most '
            f'{MOST_CLASSES}'
        )
    if adds and cfg.train_dataloader.dataset.get('pseudo') is not None:
        raise ValueError(f'{DATA}.pseudo is set by self-training: remove it')


def try_step(when: str, name: str, run: Callable[[], Any]) -> Any:
    """Do a later step on little data.

    Args:
        when (str): Time of the step, for the message, such as ``'after the first generation'``.
        name (str): Of the step.
        run (Callable): The step.

    Returns:
        Any: What it returns.

    Raises:
        ValueError: If it fails, in one line.
    """
    try:
        return run()
    except Exception as error:  # any error would stop the run after its first trainings
        message = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'{KEY}: {when} {name} would fail: {message}') from error


def save_untrained(cfg: Config, path: Path) -> nn.Module:
    """Write a checkpoint of an untrained model.

    Args:
        cfg (Config): Of the training.
        path (Path): Of the checkpoint.

    Returns:
        nn.Module: The model.
    """
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng():
        model = MODELS.build(cfg.model)
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    return model


def add_pseudo_labels(cfg: Config, pseudo: Path) -> None:
    """Let a training read pseudo-labels beside the labels.

    Args:
        cfg (Config): Of the training, changed in place.
        pseudo (Path): Folder with a manifest, or a manifest.
    """
    cfg.train_dataloader.dataset.type = 'SelfTrainingDataset'
    cfg.train_dataloader.dataset.pseudo = str(pseudo)
    guards = (cfg.get('default_hooks') or {}).get('guards')
    if guards and guards['type'] == 'GuardHook':
        guards.duplicates = False  # pseudo-labelled images stay among the unlabelled ones


def load_first(cfg: Config, pseudo: Path, positions: Sequence[int]) -> None:
    """Load samples of the labelled source with its pseudo-labels, through the pipeline.

    Args:
        cfg (Config): Of a training.
        pseudo (Path): Folder with a manifest, or a manifest.
        positions (Sequence[int]): Of the samples in the labelled source; negative from its end.
    """
    settings = {**cfg.train_dataloader.dataset, 'pseudo': str(pseudo), 'scan_masks': 0}
    settings['type'] = 'SelfTrainingDataset'
    with DefaultScope.overwrite_default_scope('mmseg'):
        data = DATASETS.build(settings)
    for position in positions:
        data[position % data.num_labeled]
