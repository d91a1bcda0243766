# Copyright (c) mmseg_ctt contributors.
"""Rectangles whose sides are painted on the host and multiplied on the device."""

from typing import Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ...functional.cut_mix_boxes import Stretch, covered
from ..rng import sent_to


def painted_sides(
    boxes: Tuple[Stretch, Stretch], size: Tuple[int, int], number: int = 1
) -> np.ndarray:
    """``(B, number, H + W)`` float32, 1 on the rows and on the columns of each box, else 0.

    Args:
        boxes (tuple): Rows and columns of ``B * number`` boxes, arrays of numpy.
        size (tuple[int, int]): ``(H, W)``.
        number (int): Boxes of an image. Defaults to 1.
    """
    sides = [covered(np.arange(side), part) for side, part in zip(size, boxes)]
    return np.concatenate(sides, axis=1).reshape(-1, number, sum(size)).astype(np.float32)


def number_of_boxes(
    sides: np.ndarray, size: Tuple[int, int], device: Union[str, torch.device]
) -> Tensor:
    """``(B, H, W)``, how many boxes of :func:`painted_sides` cover each pixel."""
    rows, columns = sent_to(sides, device).split(list(size), dim=2)
    return torch.bmm(rows.transpose(1, 2), columns)  # of 0 and 1: exact in any precision
