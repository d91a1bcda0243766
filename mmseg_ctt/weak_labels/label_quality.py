# Copyright (c) mmseg_ctt contributors.
"""Quality of pseudo-labels against masks that no training uses."""

from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..datasets.image_files import find_masks
from ..datasets.image_reading import image_size
from ..datasets.label_check import check_size, read_mask

IGNORED = 255
OF_IDS = ('1', 'L', 'P')  # modes of Pillow: 1 bit, grey of 8 bit, palette


class Truth(NamedTuple):
    """Masks of images.

    Attributes:
        files (dict[str, str]): File of each mask by the stem of its image, where there is one.
        table (np.ndarray): ``(256,)`` uint8, class id of the pseudo-labels by id of the masks.
    """

    files: Mapping[str, str]
    table: np.ndarray


def open_truth(
    folder: Path,
    stems: Sequence[str],
    classes: Sequence[str],
    has_background: bool,
    mask_classes: Optional[Sequence[str]] = None,
) -> Truth:
    """Find the masks of images, and match their classes to those of the pseudo-labels by name.

    Args:
        folder (Path): Folder of masks.
        stems (Sequence[str]): Of the images.
        classes (Sequence[str]): Of the pseudo-labels.
        has_background (bool): Whether class 0 is the background, which masks' classes of other
            names become; without it they become 255.
        mask_classes (Sequence[str], optional): Of the masks. Defaults to None: the same ids.

    Raises:
        FileNotFoundError: If there is no such folder, or no image has a mask there.
        ValueError: If a class of the pseudo-labels is none of the masks.
    """
    masks = find_masks(folder)
    known = [stem for stem in stems if stem in masks]
    if not known:
        raise FileNotFoundError(
            f'none of the {len(stems)} images has a mask in {folder}, such as {stems[0]}'
        )
    table = np.full(256, IGNORED, np.uint8)
    if mask_classes is None:
        table[: len(classes)] = np.arange(len(classes))
    else:
        own = list(classes)[int(has_background) :]
        unknown = [name for name in own if name not in mask_classes]
        if unknown:
            raise ValueError(
                f'the masks in {folder} have no class {unknown[0]!r}: wrong meta.json?'
            )
        other = 0 if has_background else IGNORED
        ids = {name: k for k, name in enumerate(classes)}
        table[: len(mask_classes)] = [ids.get(name, other) for name in mask_classes]
    return Truth({stem: str(Path(folder, masks[stem])) for stem in known}, table)


def check_truth(truth: Truth, images: Mapping[str, str]) -> None:
    """Check by their headers that masks are of ids, and of the size of their images.

    Args:
        truth (Truth): From :func:`open_truth`.
        images (Mapping[str, str]): Files of the images by stem.

    Raises:
        ValueError: For the first mask that is of another kind or size, or cannot be read.
    """
    for stem, path in truth.files.items():
        try:
            with Image.open(path) as opened:
                mode, (width, height) = opened.mode, opened.size
        except (UnidentifiedImageError, OSError):
            raise ValueError(f'the mask {path} cannot be read: make it again') from None
        if mode not in OF_IDS:
            raise ValueError(f'the mask {path} is not one channel of 8 bit: save it as a grey PNG')
        size = image_size(images[stem])
        check_size(np.empty((height, width), np.uint8), size, f'the mask {path}', images[stem])


def confusion(truth: Truth, stem: str, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of an image by class of its mask and of the pseudo-label.

    Args:
        truth (Truth): From :func:`open_truth`.
        stem (str): Of the image; one without a mask counts for nothing.
        label (np.ndarray): ``(H, W)`` uint8 pseudo-label.
        num_classes (int): K.

    Returns:
        np.ndarray: ``(K, K + 1)`` int64; the last column is of pixels without a pseudo-label.

    Raises:
        ValueError: If the mask is of another size, or no mask of ids.
    """
    if stem not in truth.files:
        return np.zeros((num_classes, num_classes + 1), np.int64)
    mask = read_mask(truth.files[stem])
    if mask.ndim != 2 or mask.dtype != np.uint8 or mask.shape != label.shape:
        raise ValueError(
            f'the mask {truth.files[stem]} is of {mask.shape} and {mask.dtype}, its pseudo-label '
            f'of {label.shape} and uint8'
        )
    return label_counts(truth.table[mask], label, num_classes)


def label_counts(mask: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of an image by class of its mask and of its label.

    Args:
        mask (np.ndarray): ``(H, W)`` class ids; 255 is ignored.
        label (np.ndarray): ``(H, W)`` class ids; 255 where there is none.
        num_classes (int): K.

    Returns:
        np.ndarray: ``(K, K + 1)`` int64; the last column is of pixels without a label.
    """
    known = mask != IGNORED
    given = np.where(label == IGNORED, num_classes, label)[known].astype(np.int64)
    pairs = mask[known].astype(np.int64) * (num_classes + 1) + given
    counts = np.bincount(pairs, minlength=num_classes * (num_classes + 1))
    return counts.reshape(num_classes, num_classes + 1)


class LabelQuality(NamedTuple):
    """Scores of pseudo-labels.

    Attributes:
        iou (np.ndarray): ``(K,)`` of each class; a pixel without a pseudo-label is a wrong one.
        labeled_iou (np.ndarray): ``(K,)`` of the pixels that have a pseudo-label.
        labeled (np.ndarray): ``(K,)`` ratio of the pixels of each class that have a pseudo-label.
    """

    iou: np.ndarray
    labeled_iou: np.ndarray
    labeled: np.ndarray

    @property
    def means(self) -> Tuple[float, float]:
        """Means of both over the classes that masks or pseudo-labels show."""
        return float(np.nanmean(self.iou)), float(np.nanmean(self.labeled_iou))


def label_quality(counts: np.ndarray) -> LabelQuality:
    """Scores from the summed :func:`confusion`; NaN for a class that is nowhere."""
    square = counts[:, :-1]
    hits, given, labeled, total = np.diag(square), square.sum(0), square.sum(1), counts.sum(1)

    def ratio(numerator: Any, denominator: Any) -> np.ndarray:
        known = denominator > 0
        return np.where(known, numerator / np.maximum(denominator, 1), np.nan)

    return LabelQuality(
        ratio(hits, total + given - hits),
        ratio(hits, labeled + given - hits),
        ratio(labeled, total),
    )


def quality_table(classes: Sequence[str], counts: np.ndarray) -> List[str]:
    """Scores of each class and their means as lines of a Markdown table, in per cent."""
    found = label_quality(counts)
    lines = ['| class | IoU | IoU of labelled pixels | labelled |', '| --- | --- | --- | --- |']
    for name, *values in zip(classes, found.iou, found.labeled_iou, found.labeled):
        lines.append(f'| {name} | {" | ".join(f"{100 * value:.1f}" for value in values)} |')
    means = (*found.means, counts[:, :-1].sum() / max(counts.sum(), 1))
    return [*lines, f'| **mean** | {" | ".join(f"{100 * value:.1f}" for value in means)} |']
