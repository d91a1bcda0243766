# Copyright (c) mmseg_ctt contributors.
"""Pictures of images, masks and predictions for the parts on labels."""

from typing import Iterable, List, Sequence, Tuple

import numpy as np
from PIL import Image

from ...deploy.api.inputs import Source
from ...deploy.api.predict import Pipeline
from ...visualization import colorize
from ..label_review.images import ListedImage
from .pictures import WRONG, marked

ALPHA = 0.6


def source_image(image: ListedImage, pipeline: Pipeline, shape: Tuple[int, int]) -> np.ndarray:
    """Picture ``(h, w, 3)`` uint8 of an image at the size of the maps."""
    source = Source(image.name, image.path, value_range=pipeline[0].value_range)
    return np.array(Image.fromarray(source.rgb()).resize(shape[::-1]))


def overlay(image: np.ndarray, label: np.ndarray, meta: dict) -> np.ndarray:
    """Classes ``(h, w)`` in the colours of the palette, over an image."""
    mixed = image * (1 - ALPHA) + colorize(label, meta['palette']) * ALPHA
    return mixed.round().astype(np.uint8)


def heat(image: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Pale grey image, the more coloured the higher the value in [0, 1]."""
    pale = marked(image, np.zeros(value.shape, bool)).astype(np.float32)
    weight = np.sqrt(value.clip(0, 1))[..., None]  # small values are visible too
    return (pale * (1 - weight) + np.array(WRONG) * weight).round().astype(np.uint8)


def legend(meta: dict) -> List[Tuple[str, str]]:
    """Colours and names of the classes."""
    return [
        ('rgb({},{},{})'.format(*colour), name)
        for colour, name in zip(meta['palette'], meta['classes'])
    ]


def tracked(items: Sequence, what: str, shown: bool) -> Iterable:
    """Items, with a bar on the console where it is shown."""
    if not shown:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, console=Console(stderr=True))
