# Copyright (c) mmseg_ctt contributors.
"""Selection of the images and pixels whose predictions become labels of the next generation."""

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..engine.files import write_whole
from ..methods.crest.functional import class_rebalanced_selection, class_thresholds, keep_rates
from .dataset import MANIFEST
from .labelling import BINS, Statistics, mask_names, read_label
from .settings import Settings

IGNORE = 255


class Selection(NamedTuple):
    """Selected images and thresholds of the classes.

    Attributes:
        chosen (Tensor): ``(I, K)`` bool, image ``i`` is selected for class ``c``.
        present (Tensor): ``(I, K)`` bool, image ``i`` shows class ``c``.
        rate (Tensor): ``(K,)`` fraction of the images and pixels that a class keeps.
        threshold (Tensor): ``(K,)`` int64, confidence threshold in levels of ``BINS``.
    """

    chosen: Tensor
    present: Tensor
    rate: Tensor
    threshold: Tensor


def select(statistics: Statistics, frequency: Tensor, settings: Settings) -> Selection:
    """Select images per class by mean confidence, and set the pixel threshold of each class.

    Args:
        statistics (Statistics): Statistics of the predictions.
        frequency (Tensor): ``(K,)``, class frequencies of the labels.
        settings (Settings): Its ``alpha`` and ``min_area`` are used.
    """
    rate = keep_rates(frequency, settings.alpha)
    present = (statistics.area > 0) & (statistics.area >= settings.min_area)
    chosen = class_rebalanced_selection(statistics.confidence, present, rate)
    return Selection(chosen, present, rate, class_thresholds(statistics.histogram, rate))


def kept_pixels(
    label: np.ndarray, level: np.ndarray, selection: Selection, i: int, settings: Settings
) -> np.ndarray:
    """Mask ``(H, W)`` bool of the pixels of image ``i`` whose label is used."""
    if settings.mode == 'restricted':
        of_chosen_class = selection.chosen[i].numpy()[label]
        return of_chosen_class | (level >= round(settings.confidence_threshold * (BINS - 1)))
    return level >= selection.threshold.numpy()[label]


def write_selection(
    folder: Path,
    raw: Path,
    images: Sequence[str],
    selection: Selection,
    statistics: Statistics,
    settings: Settings,
    classes: Sequence[str],
) -> dict:
    """Write the masks, 255 where no label is used, and last ``manifest.json``.

    Args:
        folder (Path): Folder of the pseudo-labels.
        raw (Path): Folder of the predictions.
        images (Sequence[str]): ``I`` image files.
        selection (Selection): The selection.
        statistics (Statistics): Its confidences go into the manifest.
        settings (Settings): Its ``mode`` and ``confidence_threshold`` are used.
        classes (Sequence[str]): Names of the ``K`` classes.

    Returns:
        dict: The manifest.
    """
    masks, selected = mask_names(images), []
    (folder / 'masks').mkdir(parents=True, exist_ok=True)
    for i in selection.chosen.any(dim=1).nonzero().flatten().tolist():
        label, level = read_label(raw, i)
        kept = kept_pixels(label, level, selection, i, settings)
        if not kept.any():
            continue
        mask = np.where(kept, label, IGNORE).astype(np.uint8)
        Image.fromarray(mask).save(folder / masks[i])
        selected.append(dict(image=images[i], mask=masks[i], kept=float(kept.mean())))
    manifest = dict(selected=selected, classes=_by_class(selection, statistics, images, classes))
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1) + '\n')
    return manifest


def _by_class(
    selection: Selection, statistics: Statistics, images: Sequence[str], classes: Sequence[str]
) -> Dict[str, dict]:
    out: Dict[str, dict] = {}
    for c, name in enumerate(classes):
        chosen: List[int] = selection.chosen[:, c].nonzero().flatten().tolist()
        out[name] = dict(
            predicted=int(selection.present[:, c].sum()),
            rate=float(selection.rate[c]),
            threshold=min(1.0, int(selection.threshold[c]) / (BINS - 1)),
            images={images[i]: float(statistics.confidence[i, c]) for i in chosen},
        )
    return out


def never_predicted(selection: Selection) -> List[int]:
    """Classes that no prediction shows."""
    return torch.nonzero(~selection.present.any(dim=0)).flatten().tolist()
