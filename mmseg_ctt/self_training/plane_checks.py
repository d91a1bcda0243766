# Copyright (c) mmseg_ctt contributors.
"""Checks of multi-planar co-training before the first training, with untrained networks."""

from functools import partial
from pathlib import Path
from typing import Mapping

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..datasets.frequency import source
from ..deploy.api import load_model
from ..deploy.volumes import predict_volume
from ..volumes import Volume, check_pair, open_volume, read_label, write_volume
from ..volumes.formats import Stored
from ..volumes.planes import axis_of
from .plane_data import check_thickness, volumes_of, write_manifest
from .plane_settings import PlaneSettings
from .round_checks import check_training, load_first, save_untrained, try_step

SLICES = 3  # of a volume that are predicted: the most that an image takes
MASK = 'mask.nii.gz'


def check_planes(
    configs: Mapping[str, Config],
    settings: PlaneSettings,
    unlabeled: Mapping[str, str],
    num_classes: int,
    folder: Path,
) -> None:
    """Predict slices of a volume with an untrained network of each plane, and load a pseudo-label.

    Args:
        configs (Mapping[str, Config]): Of round 0, by plane.
        settings (PlaneSettings): Of the recipe.
        unlabeled (Mapping[str, str]): Names of the unlabelled cases by volume.
        num_classes (int): Of the data set.
        folder (Path): Does not exist; files are written to it.

    Raises:
        ValueError: Names the key and what to set, or the step that would fail.
    """
    for plane, cfg in configs.items():
        check_training(cfg, num_classes, settings.rounds > 0, 'volumes of the next round')
        volumes = [*volumes_of(source(cfg, 'labeled')), *unlabeled]
        check_thickness(cfg, volumes, plane)
    folder.mkdir(parents=True)
    volume = open_volume(next(iter(unlabeled)))
    pseudo = np.full(volume.shape, num_classes - 1, np.uint8)
    write_volume(folder / MASK, pseudo, volume)
    for plane, cfg in configs.items():
        predict = partial(_predict, cfg, settings, volume, plane, folder)
        try_step('after the trainings', f'predicting along {plane}', predict)
        load = partial(_load, cfg, volume.path, plane, folder)
        try_step('in its turn', f'training plane {plane}', load)


def check_labels(labels: Mapping[str, str], num_classes: int, ignore_index: int) -> None:
    """Check the labels that predictions will be scored against.

    Args:
        labels (Mapping[str, str]): Label volumes by volume.
        num_classes (int): Of the data set.
        ignore_index (int): The one other id allowed.

    Raises:
        ValueError: Names the label that cannot be read, does not fit, or holds what is no class.
    """
    for volume, label in labels.items():
        check_pair(open_volume(volume), read_label(label), num_classes, ignore_index)


def _predict(
    cfg: Config, settings: PlaneSettings, volume: Volume, plane: str, folder: Path
) -> None:
    checkpoint = folder / f'{plane}.pth'
    save_untrained(cfg, checkpoint)
    model = load_model(cfg, checkpoint, settings.member, get_device())
    predict_volume(model, middle(volume, plane), probabilities=settings.fusion == 'soft')


def middle(volume: Volume, plane: str) -> Volume:
    """The few slices in the middle of a volume, as a volume.

    Args:
        volume (Volume): Its array is read.
        plane (str): Plane of the slices.
    """
    axis = axis_of(plane)
    start = max(0, (volume.shape[axis] - SLICES) // 2)
    array = volume.array.take(range(start, min(start + SLICES, volume.shape[axis])), axis)
    return Volume(volume.path, Stored(array.shape, lambda: array, volume.spacing))


def _load(cfg: Config, volume: str, plane: str, folder: Path) -> None:
    """Samples of the first labelled and the last pseudo-labelled slice."""
    path = folder / f'manifest_{plane}.json'
    write_manifest(path, cfg, {volume: MASK})
    load_first(cfg, path, (0, -1))
