# Copyright (c) mmseg_ctt contributors.
"""Pictures of the page as data URIs: panels of an image."""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import List, NamedTuple, Tuple

import numpy as np
from PIL import Image

from .evaluation import ScoredImage

MAX_SIDE = 560  # pixels
WRONG = (213, 94, 0)


class Picture(NamedTuple):
    """Picture: ``uri`` of the pixels, caption and alternative text, size in pixels."""

    uri: str
    caption: str
    width: int
    height: int


def picture(
    pixels: np.ndarray, caption: str, max_side: int = MAX_SIDE, photo: bool = True
) -> Picture:
    """Picture as a data URI.

    Args:
        pixels (np.ndarray): ``(H, W, 3)`` uint8, RGB.
        caption (str): Text below the picture.
        max_side (int): Longer side in pixels; larger pictures are reduced. Defaults to 560.
        photo (bool): JPEG; else PNG, for few colours and sharp edges. Defaults to True.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((max_side, max_side))
    stream = io.BytesIO()
    image.save(stream, 'JPEG' if photo else 'PNG', quality=85, optimize=True)
    kind = 'jpeg' if photo else 'png'
    code = base64.b64encode(stream.getvalue()).decode()
    return Picture(f'data:image/{kind};base64,{code}', caption, *image.size)


def picture_file(path: Path, caption: str, max_side: int = 1100) -> Picture:
    """Picture of a file, as :func:`picture`."""
    with Image.open(path) as image:
        return picture(np.array(image.convert('RGB')), caption, max_side)


def panels(scored: ScoredImage) -> List[Picture]:
    """Panels of an image: image, truth, prediction, wrong pixels."""
    result = scored.result
    known = (scored.truth >= 0) & (scored.truth < len(result.classes))
    truth = replace(result, labels=scored.truth, confidence=known.astype(np.float32))
    wrong = known & (scored.truth != result.labels)
    image = Image.fromarray(result.image).resize(result.labels.shape[::-1])
    return [
        picture(np.array(image), result.name),
        picture(truth.overlay(0.6, min_confidence=0.5), 'truth'),
        picture(result.overlay(0.6), f'prediction, mIoU of the image {scored.score:.1%}'),
        picture(
            marked(np.array(image), wrong), f'wrong pixels: {wrong.sum() / max(known.sum(), 1):.1%}'
        ),
    ]


def marked(image: np.ndarray, mask: np.ndarray, colour: Tuple[int, int, int] = WRONG) -> np.ndarray:
    """Pale grey image with the masked pixels ``(H, W)`` in one colour."""
    grey = np.array(Image.fromarray(image).convert('L'), dtype=np.float32)[..., None]
    pale = (grey * 0.4 + 150).clip(0, 255).repeat(3, axis=2)
    return np.where(mask[..., None], colour, pale).astype(np.uint8)
