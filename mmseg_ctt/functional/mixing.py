# Copyright (c) mmseg_ctt contributors.
"""Masks that paste parts of one image onto its batch neighbour, and the pasting itself."""

from typing import Optional, Tuple

import torch
from torch import Tensor


@torch.no_grad()
def class_mix_mask(
    label: Tensor,
    generator: Optional[torch.Generator] = None,
    ignore_index: int = 255,
    num_classes: int = 256,
    keys: Optional[Tensor] = None,
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
    chosen = present & (rank < present.sum(1, keepdim=True) // 2)
    chosen = torch.cat([chosen, torch.zeros_like(chosen[:, :1])], dim=1)
    return chosen.gather(1, index).view_as(label)


@torch.no_grad()
def cut_mix_mask(
    label: Tensor,
    generator: Optional[torch.Generator] = None,
    area: Tuple[float, float] = (0.5, 0.5),
    noise: Optional[Tensor] = None,
) -> Tensor:
    """CutMix: True inside one random rectangle per image.

    A share ``a`` of the image, uniform in ``area``, is covered; the height takes ``a ** u`` of
    the side and the width the rest, with ``u`` uniform in [0, 1] (CutMix-Seg).

    Args:
        label (Tensor): ``(B, H, W)``; only its shape and device are used.
        generator (torch.Generator, optional): Source of the numbers. Defaults to None: global.
        area (tuple[float, float]): Range of the covered share. Defaults to (0.5, 0.5).
        noise (Tensor, optional): ``(B, 4)`` numbers in [0, 1) instead of drawing them here.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    batch, height, width = label.shape
    if noise is None:
        device = generator.device if generator is not None else label.device
        noise = torch.rand(batch, 4, generator=generator, device=device)
    share, aspect, top, left = noise.to(label.device).unsqueeze(-1).unbind(1)  # each (B, 1)
    share = area[0] + (area[1] - area[0]) * share
    rows = _interval(height, share**aspect, top, label.device)
    columns = _interval(width, share ** (1 - aspect), left, label.device)
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def mix(tensor: Tensor, mask: Tensor, shift: int = 1, batch_dim: int = 0) -> Tensor:
    """``mask * tensor[i] + (1 - mask) * tensor[(i + shift) mod B]``, by selection.

    Args:
        tensor (Tensor): ``(B, C, H, W)``, ``(B, H, W)``, or ``(T, B, H, W)`` with ``batch_dim=1``;
            any dtype.
        mask (Tensor): ``(B, H, W)`` bool.
        shift (int): Distance to the batch neighbour that is pasted onto. Defaults to 1.
        batch_dim (int): Dimension ``B`` of the tensor. Defaults to 0.

    Returns:
        Tensor: Same shape and dtype as ``tensor``.
    """
    mask = mask.unsqueeze(1) if tensor.dim() == 4 and batch_dim == 0 else mask
    return torch.where(mask, tensor, tensor.roll(-shift, dims=batch_dim))


def _interval(side: int, fraction: Tensor, position: Tensor, device: torch.device) -> Tensor:
    """``(B, side)`` bool, True on ``round(fraction * side)`` cells from a random start."""
    length = (fraction * side).round()
    start = (position * (side - length + 1)).floor()
    cell = torch.arange(side, device=device)
    return (cell >= start) & (cell < start + length)
