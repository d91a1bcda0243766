# Copyright (c) mmseg_ctt contributors.
"""Square patches of images with the class of their centre pixel, drawn by label."""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .random_index import random_index
from .random_views import resized_crops

SEEDS = 5  # that are drawn for each patch (released code)
BACKGROUND_RATIO = 0.1  # of the patches of an image (released code)
MAX_COVERED = 0.6  # of the area of the first patch (released code)


class Patches(NamedTuple):
    """Patches of a batch of images.

    Attributes:
        box (Tensor): ``(B, n, 4)`` int64: left, top, right, bottom; the last two are outside. A
            box may reach out of the image.
        label (Tensor): ``(B, n)`` int64, class; ``ignore_index`` where it has none.
    """

    box: Tensor
    label: Tensor


@torch.no_grad()
def sample_patches(
    label: Tensor,
    noise: Tensor,
    num_patches: int = 9,
    min_size: int = 64,
    max_size: int = 256,
    background: Optional[int] = 0,
    ignore_index: int = 255,
    by_overlap: bool = False,
    released_classes: bool = False,
) -> Patches:
    """Patch sampling of mix-and-match tuning (section Mix; released code ``createRandomPatchImg``).

    Of the ``n`` patches of an image ``max(1, int(0.1 n))`` have their centre on the background,
    the others on labelled pixels of other classes. For these, five times as many are drawn, and
    one is left out where the patches before it cover more than 0.6 of the area of the first one;
    if too few remain, those that were left out fill up. Sides are uniform in
    ``[min_size, max_size]``, rounded down to even numbers. Where an image lacks the background or
    the other classes, all patches are of what it has; without any label they have no class.

    Args:
        label (Tensor): ``(B, H, W)`` int64.
        noise (Tensor): ``(B, 2 * SEEDS * num_patches)`` in [0, 1).
        num_patches (int): ``n``. Defaults to 9 (released code, VGG).
        min_size (int): Smallest side in pixels, even. Defaults to 64 (released code, of crops of
            512).
        max_size (int): Largest side. Defaults to 256 (released code).
        background (int, optional): Class of the background. Defaults to 0; None: none, all classes
            are objects.
        ignore_index (int): Defaults to 255.
        by_overlap (bool): Whether the patches of which most pixels are of their class come first.
            Defaults to False (all released settings).
        released_classes (bool): Whether patches that replace missing ones of the background count
            as background (released code). Defaults to False: their class is that of their centre.

    Returns:
        Patches: Those on the background come last.

    Raises:
        ValueError: For too few patches, sides out of order, or noise of another shape.
    """
    front, behind = _numbers(num_patches, background)
    _check(label, noise, num_patches, min_size, max_size)
    numbers = noise.reshape(len(noise), SEEDS * num_patches, 2)
    position, size = numbers.unbind(2)
    size = _even(size, min_size, max_size)
    known = label != ignore_index
    inside = known if background is None else known & (label != background)
    first = SEEDS * front
    drawn = _drawn(label, inside, known, position[:, :first], size[:, :first])
    kept = [_without_duplicates(drawn, label, front, by_overlap)]
    if background is not None:
        drawn = _drawn(label, label == background, known, position[:, first:], size[:, first:])
        if released_classes:
            drawn = Patches(drawn.box, torch.full_like(drawn.label, background))
        if by_overlap:
            drawn = _take(drawn, _overlap_order(drawn, label))
        kept.append(Patches(*(part[:, :behind] for part in drawn)))
    return Patches(*(torch.cat(parts, dim=1) for parts in zip(*kept)))


def crop_patches(image: Tensor, box: Tensor, size: int) -> Tensor:
    """Patches of images, resized bilinearly; 0 where a box reaches out of its image.

    Each box is cut out first, so that no pixel beside it enters (released code ``get_patch``).

    Args:
        image (Tensor): ``(B, C, H, W)`` float, normalised.
        box (Tensor): ``(B, n, 4)`` int64, as in :class:`Patches`.
        size (int): Side of the results.

    Returns:
        Tensor: ``(B * n, C, size, size)``, the patches of an image one after the other.
    """
    left, top, right, bottom = box.unbind(-1)
    boxes = torch.stack([top, left, bottom - top, right - left], dim=-1)
    return resized_crops(image, boxes, (size, size), padding_mode='zeros').flatten(0, 1)


def _numbers(num_patches: int, background: Optional[int]) -> Tuple[int, int]:
    """Patches of an image on objects and on the background."""
    fewest = 1 if background is None else 2
    if num_patches < fewest:
        raise ValueError(f'num_patches must be at least {fewest}, got {num_patches}')
    behind = 0 if background is None else max(1, int(BACKGROUND_RATIO * num_patches))
    return num_patches - behind, behind


def _check(label: Tensor, noise: Tensor, num_patches: int, min_size: int, max_size: int) -> None:
    if not 2 <= min_size <= max_size or min_size % 2:
        raise ValueError(
            'min_size must be even, at least 2 and at most max_size, got '
            f'min_size={min_size}, max_size={max_size}'
        )
    width = 2 * SEEDS * num_patches
    if noise.shape != (len(label), width):
        raise ValueError(f'noise must be ({len(label)}, {width}), got {tuple(noise.shape)}')


def _even(uniform: Tensor, low: int, high: int) -> Tensor:
    """Integers in ``[low, high]`` by uniform numbers, rounded down to even ones."""
    number = (uniform * (high - low + 1)).long().clamp(max=high - low)
    return (low + number) // 2 * 2


def _drawn(label: Tensor, mask: Tensor, known: Tensor, uniform: Tensor, size: Tensor) -> Patches:
    """Patches around random pixels of a mask; of labelled pixels or all where it is empty."""
    flat, width = mask.flatten(1), label.shape[2]
    for fallback in (known.flatten(1), torch.ones_like(flat)):
        flat = torch.where(flat.any(1, keepdim=True), flat, fallback)
    pixel = random_index(flat, uniform)
    half = size // 2
    row, column = pixel // width, pixel % width
    box = torch.stack([column - half, row - half, column + half, row + half], dim=2)
    return Patches(box, label.flatten(1).gather(1, pixel))


def _take(patches: Patches, index: Tensor) -> Patches:
    """Patches ``(B, m)`` by index."""
    box = patches.box.gather(1, index.unsqueeze(2).expand(-1, -1, 4))
    return Patches(box, patches.label.gather(1, index))


def _without_duplicates(drawn: Patches, label: Tensor, number: int, by_overlap: bool) -> Patches:
    """The first patches that those before them do not cover, then those that were left out."""
    first = (drawn.box[:, 0, 2] - drawn.box[:, 0, 0]).square()  # drawn first, in any order
    if by_overlap:
        drawn = _take(drawn, _overlap_order(drawn, label))
    covered = _covered(drawn.box, first, label.shape[1], label.shape[2])
    order = covered.int().argsort(dim=1, stable=True)
    return _take(drawn, order[:, :number])


def _covered(box: Tensor, first_area: Tensor, height: int, width: int) -> Tensor:
    """``(B, m)`` bool: the kept boxes before a box cover too much of it.

    Areas are counted on the cells between all edges of boxes, so that the loop over the boxes
    does not touch pixels.
    """
    edges = [(box[..., 0], box[..., 2], width), (box[..., 1], box[..., 3], height)]
    (columns, column_length), (rows, row_length) = (_cells(*edge) for edge in edges)
    area = row_length.unsqueeze(2) * column_length.unsqueeze(1)  # (B, cells, cells)
    taken, covered = torch.zeros_like(area), []
    for row, column in zip(rows.unbind(1), columns.unbind(1)):
        cells = row.unsqueeze(2) & column.unsqueeze(1)
        covered.append((taken * cells).sum((1, 2)).float() / first_area > MAX_COVERED)
        taken = torch.where(cells & ~covered[-1].view(-1, 1, 1), area, taken)
    return torch.stack(covered, dim=1)


def _cells(start: Tensor, stop: Tensor, side: int) -> Tuple[Tensor, Tensor]:
    """Which cells between all edges, ``(B, 2m - 1)``, an interval covers, and their lengths."""
    edges = torch.cat([start, stop], dim=1).clamp(0, side).sort(dim=1).values
    begin, end = edges[:, :-1].unsqueeze(1), edges[:, 1:].unsqueeze(1)
    return (begin >= start.unsqueeze(2)) & (end <= stop.unsqueeze(2)), edges.diff(dim=1)


def _overlap_order(drawn: Patches, label: Tensor) -> Tensor:
    """``(B, m)`` int64, patches by falling ratio of pixels of their class; equal ones as drawn."""
    row = torch.arange(label.shape[1], device=label.device)
    column = torch.arange(label.shape[2], device=label.device)
    ratios = []
    for box, number in zip(drawn.box.unbind(1), drawn.label.unbind(1)):
        left, top, right, bottom = box.unsqueeze(2).unbind(1)
        in_rows, in_columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
        same = label == number.view(-1, 1, 1)
        pixels = (same & in_rows.unsqueeze(2) & in_columns.unsqueeze(1)).sum((1, 2))
        ratios.append(pixels.double() / (right - left).squeeze(1).square())
    return torch.stack(ratios, dim=1).argsort(dim=1, descending=True, stable=True)
