# Copyright (c) mmseg_ctt contributors.
"""Rectangles of CutMix from uniform numbers, as starts and lengths along the sides of an image.

Everything here takes tensors of any device, and arrays of numpy for numbers that are still on the
host: only operators and methods that both have.
"""

import math
from typing import Any, Tuple

BOX_NUMBERS = 4  # random numbers of a box of random_boxes: area, aspect, top, left
TRY_NUMBERS = 3  # of a try of first_fitting_box: ratio, left, top

Stretch = Tuple[Any, Any]  # start and length, each (N, 1)


def random_boxes(
    noise: Any,
    size: Tuple[int, int],
    area: Tuple[float, float],
    num_boxes: int = 1,
    random_aspect_ratio: bool = True,
    by_area: bool = True,
    rule: Any = None,
    uniform_corner: bool = True,
) -> Tuple[Stretch, Stretch]:
    """Boxes of :func:`cut_mix_mask`; see there for the settings.

    Args:
        noise (Tensor | ndarray): ``(B, BOX_NUMBERS * num_boxes)`` in [0, 1).
        size (tuple[int, int]): ``(H, W)`` of the image.
        area (tuple[float, float]): Range of the covered fraction.
        num_boxes (int): Defaults to 1.
        random_aspect_ratio (bool): Defaults to True.
        by_area (bool): Defaults to True.
        rule (Callable, optional): Places a stretch on a side. Defaults to None: :func:`inside`.
        uniform_corner (bool): Defaults to True.

    Returns:
        tuple: Rows and columns of the ``B * num_boxes`` boxes.
    """
    noise = noise.reshape(-1, BOX_NUMBERS)
    fraction, aspect, top, left = (noise[:, i : i + 1] for i in range(BOX_NUMBERS))
    fraction = area[0] + (area[1] - area[0]) * fraction
    if by_area:
        aspect = aspect if random_aspect_ratio else 0.5
        sides = fraction**aspect, fraction ** (1 - aspect)
    else:
        across = area[0] + (area[1] - area[0]) * aspect
        sides = fraction, across if random_aspect_ratio else fraction
    part = math.sqrt(1 / num_boxes)
    rows, columns = (
        (rule or inside)(side, of_side * part, position, uniform_corner)
        for side, of_side, position in zip(size, sides, (top, left))
    )
    return rows, columns


def inside(side: int, fraction: Any, position: Any, uniform_corner: bool = True) -> Stretch:
    """``round(fraction * side)`` cells from a random start."""
    length = (fraction * side).round()
    if uniform_corner:
        return position * (side - length + 1) // 1, length
    return (position * (side - length)).round(), length


def first_fitting_box(
    noise: Any, size: Tuple[int, int], area: Tuple[float, float], ratio: Tuple[float, float]
) -> Tuple[Stretch, Stretch]:
    """Box of :func:`rejection_box_mask`; see there for the settings.

    Args:
        noise (Tensor | ndarray): ``(B, 1 + TRY_NUMBERS * tries)`` in [0, 1): area, then ratio,
            left, top of each try.
        size (tuple[int, int]): ``(H, W)`` of the image.
        area (tuple[float, float]): Range of the covered fraction.
        ratio (tuple[float, float]): Range of height over width.

    Returns:
        tuple: Rows and columns of the ``B`` boxes.
    """
    height, width = size
    pixels = (area[0] + (area[1] - area[0]) * noise[:, :1]) * (height * width)
    aspect, left, top = (noise[:, 1 + i :: TRY_NUMBERS] for i in range(TRY_NUMBERS))
    aspect = ratio[0] + (ratio[1] - ratio[0]) * aspect
    rows, columns = (pixels * aspect) ** 0.5 // 1, (pixels / aspect) ** 0.5 // 1
    top, left = top * height // 1, left * width // 1
    fits = (top + rows <= height) & (left + columns <= width)
    fits[:, -1:] |= True  # the last try is moved and cut instead
    first = fits & (fits.cumsum(1) == 1)
    top, left, rows, columns = (
        (tried * first).sum(1)[:, None] for tried in (top, left, rows, columns)
    )
    rows, columns = rows.clip(max=height), columns.clip(max=width)
    return (top.clip(max=height - rows), rows), (left.clip(max=width - columns), columns)


def covered(cell: Any, stretch: Stretch) -> Any:
    """``(N, side)`` bool, True on the cells of each stretch.

    Args:
        cell (Tensor | ndarray): ``(side,)``, numbers from 0 on.
        stretch (tuple): Start and length.
    """
    start, length = stretch
    return (cell >= start) & (cell < start + length)
