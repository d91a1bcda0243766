# Copyright (c) mmseg_ctt contributors.
"""Checks of CReST before the first generation of what would fail after it only, hours later."""

import json
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from ..methods.base import SemiSegmentor
from .dataset import MANIFEST
from .labelling import label_images, read_label
from .round_checks import check_training, load_first, save_untrained, try_step
from .round_settings import KEY
from .settings import Settings


def check_config(cfg: Config, settings: Settings, num_classes: int) -> None:
    """Check the parts of a config that self-training depends on.

    Args:
        cfg (Config): Complete config of the base method.
        settings (Settings): Of self-training.
        num_classes (int): Of the data set.

    Raises:
        ValueError: Names the key and what to set.
    """
    check_training(cfg, num_classes, settings.generations > 1, 'images of the next generation')


def check_steps(
    first: Config, second: Optional[Config], image: str, folder: Path, settings: Settings
) -> None:
    """Label an image with an untrained model, and load it as the second generation will.

    Args:
        first (Config): Of generation 0.
        second (Config, optional): Of generation 1; None where there is no second.
        image (str): An unlabelled image.
        folder (Path): Does not exist; files are written to it.
        settings (Settings): Of self-training.

    Raises:
        ValueError: Names the step that would fail, and why.
    """
    if second is None:
        return
    folder.mkdir(parents=True)
    _try('labelling the images', lambda: _label(first, image, folder, settings))
    _try('training on pseudo-labels', lambda: _load(second, image, folder))


def _try(name: str, run: Callable[[], Any]) -> None:
    try_step('after the first generation', name, run)


def _label(cfg: Config, image: str, folder: Path, settings: Settings) -> None:
    model = save_untrained(cfg, folder / 'untrained.pth')
    if settings.align and not (isinstance(model, SemiSegmentor) and model.uses_pseudo_labels):
        raise ValueError(
            f'{KEY}.align=True aligns pseudo-labels within a training, and '
            f'{type(model).__name__} makes none: set {KEY}.align=False'
        )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    label_images(cfg, folder / 'untrained.pth', [image], folder, settings.member, device)


def _load(cfg: Config, image: str, folder: Path) -> None:
    """The sample of a pseudo-labelled image, through the pipeline of the labelled ones."""
    label, _ = read_label(folder, 0)
    Image.fromarray(label.astype(np.uint8)).save(folder / 'mask.png')
    selected = [dict(image=image, mask='mask.png')]
    (folder / MANIFEST).write_text(json.dumps(dict(selected=selected)))
    # a labelled image first: LoadAnnotations keeps the label shift of its first mask
    load_first(cfg, folder, (0, -1))
