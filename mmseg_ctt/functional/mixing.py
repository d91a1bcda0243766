# Copyright (c) mmseg_ctt contributors.
"""Masks that paste parts of one image onto another of the batch, and the pasting itself."""

from typing import Optional, Tuple

import torch
from torch import Tensor

from .cut_mix_boxes import (
    BOX_NUMBERS,
    TRY_NUMBERS,
    Stretch,
    covered,
    first_fitting_box,
    inside,
    random_boxes,
)


@torch.no_grad()
def class_mix_mask(
    label: Tensor,
    generator: Optional[torch.Generator] = None,
    ignore_index: int = 255,
    num_classes: int = 256,
    keys: Optional[Tensor] = None,
    round_up: bool = False,
) -> Tensor:
    """ClassMix: True on half of the classes of each image, drawn without replacement.

    Of the ``n`` classes present in an image (``ignore_index`` does not count), ``floor(n / 2)``
    are chosen: those with the smallest random keys (ClassMix, and CTT released code).

    Args:
        label (Tensor): ``(B, H, W)`` int64, teacher labels.
        generator (torch.Generator, optional): Source of the keys. Defaults to None: global.
        ignore_index (int): Label that is never chosen. Defaults to 255.
        num_classes (int): All labels except ``ignore_index`` lie below. Defaults to 256.
        keys (Tensor, optional): ``(B, num_classes)`` random keys in [0, 1), instead of drawing
            them here. Defaults to None.
        round_up (bool): True: ``ceil(n / 2)`` classes are chosen, so that one of a single class is
            (DACS, released code). Defaults to False.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    batch = label.shape[0]
    flat = label.flatten(1)
    if keys is None:
        device = generator.device if generator is not None else label.device
        keys = torch.rand(batch, num_classes, generator=generator, device=device)
    keys = keys.to(label.device)
    num_classes = keys.shape[1]
    # one more column swallows the ignored pixels
    index = flat.masked_fill(flat == ignore_index, num_classes)
    present = torch.zeros(batch, num_classes + 1, dtype=torch.bool, device=label.device)
    present.scatter_(1, index, torch.ones_like(index, dtype=torch.bool))
    present = present[:, :num_classes]
    rank = keys.masked_fill(~present, 2.0).argsort(dim=1).argsort(dim=1)
    number = present.sum(1, keepdim=True)
    number = (number + 1 if round_up else number) // 2
    chosen = present & (rank < number)
    chosen = torch.cat([chosen, torch.zeros_like(chosen[:, :1])], dim=1)
    return chosen.gather(1, index).view_as(label)


@torch.no_grad()
def cut_mix_mask(
    label: Tensor,
    generator: Optional[torch.Generator] = None,
    area: Tuple[float, float] = (0.5, 0.5),
    noise: Optional[Tensor] = None,
    num_boxes: int = 1,
    random_aspect_ratio: bool = True,
    by_area: bool = True,
    within_bounds: bool = True,
    invert: bool = True,
    uniform_corner: bool = True,
) -> Tensor:
    """CutMix: True inside random rectangles of each image.

    A fraction ``a`` of the image, uniform in ``area``, is covered; the height takes ``a ** u`` of
    the side and the width the rest, with ``u`` uniform in [0, 1] (CutMix-Seg). Each of several
    boxes has an area of its own, over the number of boxes; where two overlap the mask is False
    again (CPS: three boxes, (0.25, 0.5)).

    Args:
        label (Tensor): ``(B, H, W)``; only its shape and device are used.
        generator (torch.Generator, optional): Source of the numbers. Defaults to None: global.
        area (tuple[float, float]): Range of the covered fraction. Defaults to (0.5, 0.5).
        noise (Tensor, optional): ``(B, BOX_NUMBERS * num_boxes)`` numbers in [0, 1) instead of
            drawing them here.
        num_boxes (int): Defaults to 1.
        random_aspect_ratio (bool): False: height and width take the same fraction of their sides.
            Defaults to True.
        by_area (bool): False: ``area`` is the range of a box's sides, not of its area.
            Defaults to True.
        within_bounds (bool): False centres boxes anywhere in the image; the parts outside are
            lost, and one that crosses the upper or left border is usually empty (released code).
            Defaults to True.
        invert (bool): False: True outside the boxes. Defaults to True.
        uniform_corner (bool): Whether every position has the same chance; False rounds the corner
            (released code), so that a box is at a border half as often. Defaults to True.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    batch, height, width = label.shape
    noise = _uniform(noise, batch, BOX_NUMBERS * num_boxes, generator, label.device)
    stretches = random_boxes(
        noise,
        (height, width),
        area,
        num_boxes,
        random_aspect_ratio,
        by_area,
        inside if within_bounds else _centred,
        uniform_corner,
    )
    rows, columns = (_painted(side, part) for side, part in zip((height, width), stretches))
    mask = (rows.unsqueeze(2) & columns.unsqueeze(1)).view(batch, num_boxes, height, width)
    mask = mask[:, 0] if num_boxes == 1 else mask.sum(1) % 2 == 1
    return mask if invert else ~mask


@torch.no_grad()
def rejection_box_mask(
    label: Tensor,
    generator: Optional[torch.Generator] = None,
    area: Tuple[float, float] = (0.02, 0.4),
    ratio: Tuple[float, float] = (0.3, 1 / 0.3),
    prob: float = 0.5,
    num_tries: int = 64,
    noise: Optional[Tensor] = None,
) -> Tensor:
    """CutMix box of UniMatch: True inside the first of several random boxes that fits an image.

    The area is drawn once. A try draws height over width, uniform in ``ratio``, and the upper
    left corner anywhere, so that boxes are taller than wide and near the upper left corner more
    often. All tries are drawn at once, where the released code draws until one fits; if none
    does, the last one is moved and cut so that it does.

    Args:
        label (Tensor): ``(B, H, W)``; only its shape and device are used.
        generator (torch.Generator, optional): Source of the numbers. Defaults to None: global.
        area (tuple[float, float]): Range of the covered fraction. Defaults to (0.02, 0.4).
        ratio (tuple[float, float]): Range of height over width. Defaults to (0.3, 1 / 0.3).
        prob (float): Probability of a box; the others are all False. Defaults to 0.5.
        num_tries (int): Defaults to 64, of which none fits for about one image in a thousand.
        noise (Tensor, optional): ``(B, 2 + TRY_NUMBERS * num_tries)`` numbers in [0, 1) instead of
            drawing them here: whether, area, then ratio, left, top of each try.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    batch, height, width = label.shape
    noise = _uniform(noise, batch, 2 + TRY_NUMBERS * num_tries, generator, label.device)
    stretches = first_fitting_box(noise[:, 1:], (height, width), area, ratio)
    rows, columns = (_painted(side, part) for side, part in zip((height, width), stretches))
    drawn = (noise[:, :1] < prob).unsqueeze(2)
    return rows.unsqueeze(2) & columns.unsqueeze(1) & drawn


def mix(
    tensor: Tensor,
    mask: Tensor,
    shift: int = 1,
    batch_dim: int = 0,
    partner: Optional[Tensor] = None,
) -> Tensor:
    """``mask * tensor[i] + (1 - mask) * tensor[partner of i]``, by selection.

    Args:
        tensor (Tensor): ``(B, C, H, W)``, ``(B, H, W)``, or ``(T, B, H, W)`` with ``batch_dim=1``;
            any dtype.
        mask (Tensor): ``(B, H, W)`` bool.
        shift (int): Distance to the partner, ``(i + shift) mod B``. Defaults to 1.
        batch_dim (int): Dimension ``B`` of the tensor. Defaults to 0.
        partner (Tensor, optional): ``(B,)`` int64, index of each image's partner, in place of
            ``shift``. Defaults to None.

    Returns:
        Tensor: Same shape and dtype as ``tensor``.
    """
    mask = mask.unsqueeze(1) if tensor.dim() == 4 and batch_dim == 0 else mask
    other = (
        tensor.roll(-shift, dims=batch_dim)
        if partner is None
        else tensor.index_select(batch_dim, partner)
    )
    return torch.where(mask, tensor, other)


def _uniform(
    noise: Optional[Tensor],
    batch: int,
    width: int,
    generator: Optional[torch.Generator],
    device: torch.device,
) -> Tensor:
    """``(batch, width)`` numbers in [0, 1) on the device: those given, or drawn ones."""
    if noise is None:
        source = generator.device if generator is not None else device
        noise = torch.rand(batch, width, generator=generator, device=source)
    return noise.to(device)


def _centred(side: int, fraction: Tensor, position: Tensor, _: bool) -> Stretch:
    """Around a random centre; a negative start counts from the end (released code)."""
    length, centre = (fraction * side).round(), (position * side).round()
    start, stop = (centre - length / 2).trunc(), (centre + length / 2).trunc()
    start = torch.where(start < 0, (start + side).clamp(min=0), start)
    return start, stop - start


def _painted(side: int, stretch: Stretch) -> Tensor:
    """``(N, side)`` bool, True on the cells of each stretch."""
    return covered(torch.arange(side, device=stretch[0].device), stretch)
