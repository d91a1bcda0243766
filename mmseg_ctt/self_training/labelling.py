# Copyright (c) mmseg_ctt contributors.
"""Label and confidence of every unlabelled image, as files, and what is counted in them."""

import os
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..deploy.api import load_model, predict

BINS = 2**16  # confidences are kept as 16 bit integers


class Statistics(NamedTuple):
    """Of ``I`` labelled images and ``K`` classes.

    Attributes:
        area (Tensor): ``(I, K)`` float64, share of the image.
        confidence (Tensor): ``(I, K)`` float64, mean over the pixels of the class, 0 without any.
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
    """Predict what is not yet in the folder.

    Args:
        cfg (Config): Of the run.
        checkpoint (str | Path): Its end.
        images (Sequence[str]): Files; image ``i`` becomes ``{i}.npz``.
        folder (Path): Where.
        member (str, optional): That labels. Defaults to None: as the config predicts.
        device (str): Defaults to 'cpu'.
        before_each (Callable): Called before every image; may raise to end here.

    Returns:
        int: Number of images that were predicted now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = [i for i in range(len(images)) if not (folder / f'{i}.npz').is_file()]
    model = load_model(cfg, checkpoint, member, device) if todo else None
    for i in todo:
        before_each()
        result = predict(model, images[i])
        level = np.round(result.confidence.astype(np.float64) * (BINS - 1)).astype(np.uint16)
        partial = folder / f'.{i}.npz'
        np.savez_compressed(partial, label=result.labels, level=level)
        os.replace(partial, folder / f'{i}.npz')  # whole or not there
    return len(todo)


def read_label(folder: Path, i: int) -> Tuple[np.ndarray, np.ndarray]:
    """Label ``(H, W)`` and confidence ``(H, W)`` uint16 of an image."""
    with np.load(folder / f'{i}.npz') as file:
        return file['label'].astype(np.int64), file['level']


def collect(folder: Path, number: int, num_classes: int) -> Statistics:
    """Count in all files of a folder.

    Args:
        folder (Path): Of :func:`label_images`.
        number (int): ``I``.
        num_classes (int): ``K``.
    """
    area, confidence = np.zeros((2, number, num_classes))
    histogram = np.zeros(num_classes * BINS, np.int64)
    for i in range(number):
        label, level = (one.ravel() for one in read_label(folder, i))
        pixels = np.bincount(label, minlength=num_classes)
        summed = np.bincount(label, level / (BINS - 1), num_classes)
        area[i], confidence[i] = pixels / label.size, summed / np.maximum(pixels, 1)
        places, counts = np.unique(label * BINS + level, return_counts=True)
        histogram[places] += counts
    return Statistics(
        torch.from_numpy(area),
        torch.from_numpy(confidence),
        torch.from_numpy(histogram).view(num_classes, BINS),
    )


def names(images: Sequence[str]) -> List[str]:
    """File names of masks, one an image: its number keeps equal stems apart."""
    return [f'masks/{i}_{Path(image).stem}.png' for i, image in enumerate(images)]
