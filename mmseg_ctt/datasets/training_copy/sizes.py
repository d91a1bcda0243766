# Copyright (c) mmseg_ctt contributors.
"""The largest size that a training pipeline makes of an image, which is all that a copy needs."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile, RandomResize
from mmcv.transforms import Resize as PlainResize
from mmseg.datasets.transforms import LoadAnnotations, PhotoMetricDistortion, Resize

from ..extra_maps import LoadMaps
from ..transforms import CheckSegMap

# Steps that may stand before the resizing one: they do not depend on the size of the image.
SIZELESS = (LoadImageFromFile, LoadAnnotations, LoadMaps, CheckSegMap, PhotoMetricDistortion)
RESIZES = (PlainResize, Resize)  # these classes, not those derived from them
RESIZABLE = ('uint8', 'uint16', 'int16', 'float32', 'float64')  # of OpenCV


class Scale(NamedTuple):
    """Scale of a resizing step at its largest.

    Attributes:
        width (int): Pixels.
        height (int): Pixels.
        keep_ratio (bool): Whether images keep their aspect ratio, and fit into width and height.
        interpolation (str): Of images.
    """

    width: int
    height: int
    keep_ratio: bool = True
    interpolation: str = 'bilinear'

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height."""
        return self.width, self.height


def needed_scale(steps: Sequence[Any]) -> Optional[Scale]:
    """Scale that a pipeline resizes images to, at its largest.

    Args:
        steps (Sequence): Transforms of a pipeline, built.

    Returns:
        Scale | None: None where the result depends on the size of the file: no resizing step, one
        by a factor, or one behind a step that is not known.
    """
    for step in steps:
        if type(step) in RESIZES and step.scale is not None and step.backend == 'cv2':
            width, height = step.scale
            return Scale(width, height, step.keep_ratio, step.interpolation)
        if type(step) is RandomResize:
            return _of_random(step)
        if not isinstance(step, SIZELESS):
            return None
    return None


def _of_random(step: RandomResize) -> Optional[Scale]:
    resize = step.resize
    if type(resize) not in RESIZES or resize.backend != 'cv2':
        return None
    if isinstance(step.scale, list):  # a range of scales
        width, height = (max(pair) for pair in zip(*step.scale))
    else:
        width, height = (int(edge * max(step.ratio_range)) for edge in step.scale)
    return Scale(width, height, resize.keep_ratio, resize.interpolation)


def largest(scales: Sequence[Optional[Scale]]) -> Optional[Scale]:
    """One scale that is enough for several pipelines; None, which keeps sizes, without such."""
    found: List[Scale] = [scale for scale in scales if scale is not None]
    if len(found) < len(scales) or len({scale[2:] for scale in found}) != 1:
        return None
    return found[0]._replace(
        width=max(scale.width for scale in found), height=max(scale.height for scale in found)
    )


def reduced_size(size: Tuple[int, int], scale: Scale) -> Tuple[int, int]:
    """Height and width of a copy, never more than those of the original.

    Args:
        size (tuple[int, int]): Height and width of the original.
        scale (Scale): Of the copy.
    """
    height, width = size
    if not scale.keep_ratio:
        return min(height, scale.height), min(width, scale.width)
    new_width, new_height = mmcv.rescale_size((width, height), scale.size)
    if new_width >= width and new_height >= height:
        return size
    return new_height, new_width


def resized(pixels: np.ndarray, size: Tuple[int, int], interpolation: str, name: str) -> np.ndarray:
    """Pixels ``(H, W)`` or ``(H, W, C)`` at another size, as the resizing step of mmcv makes them.

    Raises:
        ValueError: If OpenCV does not resize their type.
    """
    if pixels.shape[:2] == size:
        return pixels
    if pixels.dtype.name not in RESIZABLE:
        raise ValueError(
            f'{name} holds {pixels.dtype}, which OpenCV does not resize: use --size keep'
        )
    made = mmcv.imresize(pixels, size[::-1], interpolation=interpolation, backend='cv2')
    return made.reshape(*size, *pixels.shape[2:])
