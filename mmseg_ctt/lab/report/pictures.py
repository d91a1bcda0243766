# Copyright (c) mmseg_ctt contributors.
"""Pictures inside the page: panels of an image, as data URIs."""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import List, NamedTuple, Tuple

import numpy as np
from PIL import Image

from .evaluation import Judged

MAX_SIDE = 560  # pixels
WRONG = (213, 94, 0)


class Picture(NamedTuple):
    """``uri`` of the pixels, words below it and for those who do not see it, and its size."""

    uri: str
    caption: str
    width: int
    height: int


def picture(
    pixels: np.ndarray, caption: str, max_side: int = MAX_SIDE, photo: bool = True
) -> Picture:
    """A picture that the page holds itself.

    Args:
        pixels (np.ndarray): ``(H, W, 3)`` uint8, RGB.
        caption (str): Below it.
        max_side (int): Larger ones are reduced. Defaults to 560.
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
    """A picture from a file."""
    with Image.open(path) as image:
        return picture(np.array(image.convert('RGB')), caption, max_side)


def panels(judged: Judged) -> List[Picture]:
    """Image, truth, prediction, and where they differ."""
    result = judged.result
    known = (judged.truth >= 0) & (judged.truth < len(result.classes))
    truth = replace(result, labels=judged.truth, confidence=known.astype(np.float32))
    wrong = known & (judged.truth != result.labels)
    image = Image.fromarray(result.image).resize(result.labels.shape[::-1])
    return [
        picture(np.array(image), result.name),
        picture(truth.overlay(0.6, min_confidence=0.5), 'truth'),
        picture(result.overlay(0.6), f'prediction, mIoU of the image {judged.score:.1%}'),
        picture(
            marked(np.array(image), wrong), f'wrong pixels: {wrong.sum() / max(known.sum(), 1):.1%}'
        ),
    ]


def marked(image: np.ndarray, mask: np.ndarray, colour: Tuple[int, int, int] = WRONG) -> np.ndarray:
    """A paled grey image with marked pixels ``(H, W)`` in one colour."""
    grey = np.array(Image.fromarray(image).convert('L'), dtype=np.float32)[..., None]
    pale = (grey * 0.4 + 150).clip(0, 255).repeat(3, axis=2)
    return np.where(mask[..., None], colour, pale).astype(np.uint8)
