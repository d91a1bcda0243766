# Copyright (c) mmseg_ctt contributors.
"""Predictions of the unlabelled images as files, and their statistics."""

import os
import os.path as osp
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..deploy.api import load_model, predict_iter
from ..deploy.api.inputs import image_pipeline
from ..deploy.checkpoint import weights_checksum, without_pretrained
from ..engine.fingerprint import config_hash
from ..volumes.address import image_stem
from .image_lists import below_common_folder, check_list, keep_list

BINS = 2**16  # confidences are kept as 16 bit integers
LIST, TEACHER = 'images.txt', 'teacher.txt'  # which image each number is; what predicts
CHANGED = (
    'the unlabelled images have changed since the run began, and its predictions are of the '
    'earlier ones: restore their list, or choose another --work-dir'
)
OTHER_TEACHER = (
    'weights, network, test pipeline or member of the teacher have changed since the run began, '
    'and its predictions are of the earlier ones: restore them, or choose another --work-dir'
)


class Statistics(NamedTuple):
    """Statistics of the predictions of ``I`` images with ``K`` classes.

    Attributes:
        area (Tensor): ``(I, K)`` float64, fraction of the image that each class covers.
        confidence (Tensor): ``(I, K)`` float64, mean over the pixels of the class; 0 without.
        histogram (Tensor): ``(K, BINS)`` int64, pixels of all images by confidence.
    """

    area: Tensor
    confidence: Tensor
    histogram: Tensor


def label_images(
    cfg: Config,
    checkpoint: Union[str, Path],
    images: Sequence[str],
    folder: Path,
    member: Optional[str] = None,
    device: str = 'cpu',
    before_each: Callable[[], None] = lambda: None,
) -> int:
    """Predict the images that the folder lacks.

    Args:
        cfg (Config): Config of the run.
        checkpoint (str | Path): Final checkpoint of the run.
        images (Sequence[str]): Image files; image ``i`` becomes ``{i}.npz``.
        folder (Path): Folder of the predictions; ``images.txt`` in it lists the images,
            ``teacher.txt`` says what predicts them.
        member (str, optional): Member that predicts. Defaults to None: that of the config.
        device (str): Defaults to 'cpu'.
        before_each (Callable): Called before every image; may raise to stop.

    Returns:
        int: Number of images predicted by this call.

    Raises:
        ValueError: If the folder has predictions of other images, or of another teacher.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keep_list(folder / LIST, below_common_folder(images), CHANGED)
    keep_list(folder / TEACHER, _teacher(cfg, checkpoint, member), OTHER_TEACHER, 'another teacher')
    missing = [i for i in range(len(images)) if not (folder / f'{i}.npz').is_file()]
    if not missing:
        return 0
    model = load_model(cfg, checkpoint, member, device)
    for i in missing:
        before_each()
        (result,) = predict_iter(model, images[i])
        level = np.round(result.confidence.astype(np.float64) * (BINS - 1)).astype(np.uint16)
        partial = folder / f'.{i}.npz'
        np.savez_compressed(partial, label=result.labels, level=level)
        os.replace(partial, folder / f'{i}.npz')  # atomic
    return len(missing)


def check_images(folder: Path, images: Sequence[str]) -> None:
    """The predictions in a folder, if there are any, are of these images.

    Args:
        folder (Path): Folder written by :func:`label_images`; one of an earlier version has no
            list, and is not checked.
        images (Sequence[str]): Image files.

    Raises:
        ValueError: If they are of others.
    """
    check_list(folder / LIST, below_common_folder(images), CHANGED)


def check_teacher(
    folder: Path, cfg: Config, checkpoint: Union[str, Path], member: Optional[str]
) -> None:
    """The predictions in a folder, if there are any, are of this teacher.

    Args:
        folder (Path): Folder written by :func:`label_images`; one of an earlier version does not
            say of which teacher, and is not checked.
        cfg (Config): Config of the teacher.
        checkpoint (str | Path): Of the teacher.
        member (str, optional): Member that predicts; None: that of the config.

    Raises:
        ValueError: If they are of another.
    """
    if (folder / TEACHER).is_file():
        given = _teacher(cfg, checkpoint, member)
        check_list(folder / TEACHER, given, OTHER_TEACHER, 'another teacher')


def _teacher(cfg: Config, checkpoint: Union[str, Path], member: Optional[str]) -> List[str]:
    """What predictions depend on, wherever the files lie."""
    read = dict(
        model=without_pretrained(cfg.model), test_dataloader=dict(pipeline=image_pipeline(cfg))
    )
    return [
        f'weights: {weights_checksum(checkpoint)}',
        f'config: {config_hash(read)}',
        f'member: {member or "that of the config"}',
    ]


def read_label(folder: Path, i: int) -> Tuple[np.ndarray, np.ndarray]:
    """Label ``(H, W)`` and confidence ``(H, W)`` uint16 of an image."""
    with np.load(folder / f'{i}.npz') as file:
        return file['label'].astype(np.int64), file['level']


def collect(folder: Path, number: int, num_classes: int) -> Statistics:
    """Statistics of all predictions in a folder.

    Args:
        folder (Path): Folder written by :func:`label_images`.
        number (int): Number of images ``I``.
        num_classes (int): Number of classes ``K``.
    """
    area, confidence = np.zeros((2, number, num_classes))
    histogram = np.zeros(num_classes * BINS, np.int64)
    for i in range(number):
        label, level = (array.ravel() for array in read_label(folder, i))
        pixels = np.bincount(label, minlength=num_classes)
        summed = np.bincount(label, level / (BINS - 1), num_classes)
        area[i], confidence[i] = pixels / label.size, summed / np.maximum(pixels, 1)
        bins, counts = np.unique(label * BINS + level, return_counts=True)
        histogram[bins] += counts
    return Statistics(
        torch.from_numpy(area),
        torch.from_numpy(confidence),
        torch.from_numpy(histogram).view(num_classes, BINS),
    )


def mask_names(images: Sequence[str]) -> List[str]:
    """File names of the masks; the number of the image keeps equal stems apart."""
    return [f'masks/{i}_{osp.basename(image_stem(image))}.png' for i, image in enumerate(images)]
