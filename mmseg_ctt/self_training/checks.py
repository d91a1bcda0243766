# Copyright (c) mmseg_ctt contributors.
"""Checks before the first generation of what would fail after it only, hours later."""

import json
import shutil
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from ..datasets.sources import LABELED
from ..methods.base import SemiSegmentor
from .dataset import MANIFEST
from .labelling import label_images, read_label
from .round_settings import KEY
from .settings import Settings

DATA = 'train_dataloader.dataset'
MOST_CLASSES = 255  # ids of 8 bits, one of which is ignored


def check_config(cfg: Config, settings: Settings, num_classes: int) -> None:
    """Check the parts of a config that self-training depends on.

    Args:
        cfg (Config): Complete config of the base method.
        settings (Settings): Of self-training.
        num_classes (int): Of the data set.

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
            'images of the next generation: set it to dict(type="SafeCheckpointHook")'
        )
    if num_classes > MOST_CLASSES:
        raise ValueError(
            f'{DATA} has {num_classes} classes; pseudo-labels are files of 8 bits with at most '
            f'{MOST_CLASSES}'
        )
    if settings.generations > 1 and cfg.train_dataloader.dataset.get('pseudo') is not None:
        raise ValueError(f'{DATA}.pseudo is set by self-training: remove it')


def check_steps(
    first: Config, second: Optional[Config], image: str, folder: Path, settings: Settings
) -> None:
    """Label an image with an untrained model, and load it as the second generation will.

    Args:
        first (Config): Of generation 0.
        second (Config, optional): Of generation 1; None where there is no second.
        image (str): An unlabelled image.
        folder (Path): Does not exist; it is removed at the end.
        settings (Settings): Of self-training.

    Raises:
        ValueError: Names the step that would fail, and why.
    """
    if second is None:
        return
    folder.mkdir(parents=True)
    try:
        _step('labelling the images', lambda: _label(first, image, folder, settings))
        _step('training on pseudo-labels', lambda: _load(second, image, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _step(name: str, run) -> None:
    try:
        run()
    except Exception as error:  # any error would stop the run after its first generation
        message = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(
            f'{KEY}: after the first generation {name} would fail: {message}'
        ) from error


def _label(cfg: Config, image: str, folder: Path, settings: Settings) -> None:
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng():
        model = MODELS.build(cfg.model)
    if settings.align and not (isinstance(model, SemiSegmentor) and model.uses_pseudo_labels):
        raise ValueError(
            f'{KEY}.align=True aligns pseudo-labels within a training, and '
            f'{type(model).__name__} makes none: set {KEY}.align=False'
        )
    torch.save(dict(meta={}, state_dict=model.state_dict()), folder / 'untrained.pth')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    label_images(cfg, folder / 'untrained.pth', [image], folder, settings.member, device)


def _load(cfg: Config, image: str, folder: Path) -> None:
    """The sample of a pseudo-labelled image, through the pipeline of the labelled ones."""
    label, _ = read_label(folder, 0)
    Image.fromarray(label.astype(np.uint8)).save(folder / 'mask.png')
    selected = [dict(image=image, mask='mask.png')]
    (folder / MANIFEST).write_text(json.dumps(dict(selected=selected)))
    settings = {**cfg.train_dataloader.dataset, 'pseudo': str(folder), 'scan_masks': 0}
    with DefaultScope.overwrite_default_scope('mmseg'):
        data = DATASETS.build(settings)
    labeled = data.sources[LABELED]
    assert isinstance(labeled, ConcatDataset)
    data[0]  # a labelled image first: LoadAnnotations keeps the label shift of its first mask
    data[len(labeled) - 1]
