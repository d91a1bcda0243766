# Copyright (c) mmseg_ctt contributors.
"""Pictures of where raters differ."""

from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from ..datasets.image_values import picture_of
from ..visualization.panels import colorize, save_grid
from .cases import Case, load_case
from .votes import differing

PICTURES = 'pictures'
DIFFERENT, DARKENED = (255, 0, 255), 0.5


def draw_differences(
    cases: Sequence[Case],
    scores: Dict[str, Any],
    out: Path,
    palette: Sequence[Sequence[int]],
    number: int,
) -> List[Path]:
    """Draw the images in which raters differ most.

    Args:
        cases (Sequence[Case]): All images.
        scores (dict): Of :func:`.fuse_folders.fuse_folders`.
        out (Path): Its folder.
        palette (Sequence[Sequence[int]]): RGB of each class.
        number (int): Pictures at the most.

    Returns:
        list[Path]: The pictures.
    """
    order = sorted(cases, key=lambda case: -scores['images'][case.name]['differing'])
    paths = []
    for case in order[:number]:
        path = out / PICTURES / f'{case.name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        titles = ['image', *scores['raters'], 'fused', 'different']
        row = _row(case, len(scores['classes']), out / 'masks' / (case.name + case.suffix), palette)
        save_grid(path, [row], titles, scores['classes'], palette)
        paths.append(path)
    return paths


def _row(
    case: Case, num_classes: int, fused: Path, palette: Sequence[Sequence[int]]
) -> List[np.ndarray]:
    image, labels, _ = load_case(case, num_classes)
    label = load_case(case._replace(masks=(str(fused),)), num_classes).labels[0]
    different = differing(labels)
    if case.is_volume:
        index = int(different.sum(axis=(0, 1)).argmax())
        image, labels = _as_8_bit(image[..., index]), labels[..., index]
        label, different = label[..., index], different[..., index]
    picture = picture_of(image, name=case.image)
    marked = np.where(different[..., None], DIFFERENT, picture * DARKENED).astype(np.uint8)
    return [picture, *(colorize(part, palette) for part in (*labels, label)), marked]


def _as_8_bit(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
