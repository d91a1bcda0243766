# Copyright (c) mmseg_ctt contributors.
"""High-level and low-level contrast with class memory banks (CTT Eq 6-9).

A leading dimension ``P`` holds problems of their own, such as the pairs of CTT, in one call. How
both are computed in constant memory: ``bank_contrast.py``.
"""

from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.selection import class_balanced_weight
from .bank_contrast import UnitRows, bank_contrast


def high_level_contrast(
    query: Tensor,
    label: Tensor,
    bank: Tensor,
    temperature: float = 0.1,
    valid: Optional[Tensor] = None,
    bank_valid: Optional[Tensor] = None,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """High-level contrast: every bank entry of a pixel's class is a positive (CTT Eq 6).

    Each positive is contrasted on its own with all entries of the other classes; mean over the
    positives, then over the pixels of a class, then over the classes that have a pixel.

    Args:
        query (Tensor): ``([P,] N, D)`` pixel features, normalised here. Receives the gradient.
        label (Tensor): ``([P,] N)`` int64; anything where ``valid`` is False.
        bank (Tensor): ``([P,] K, V, D)`` features, constant.
        temperature (float): Defaults to 0.1 (released code).
        valid (Tensor, optional): ``([P,] N)`` bool, the mask of Eq 7. Defaults to None: all.
        bank_valid (Tensor, optional): ``([P,] K, V)`` bool, filled entries. Pixels of a class
            without any are left out. Defaults to None: all.
        mean_count (Callable, optional): See :func:`class_balanced_weight`.

    Returns:
        Tensor: ``(P,)``, a scalar without leading dimension; 0 with a graph where no pixel is
        selected.

    Raises:
        ValueError: If the feature widths of query and bank differ.
    """
    valid = _default_valid(valid, label)
    if bank_valid is not None:
        known = bank_valid.any(dim=-1)
        valid = valid & known.gather(-1, label.masked_fill(~valid, 0))
    return _contrast(query, None, label, bank, temperature, valid, bank_valid, mean_count)


def low_level_contrast(
    query: Tensor,
    positive: Tensor,
    label: Tensor,
    bank: Tensor,
    temperature: float = 0.5,
    valid: Optional[Tensor] = None,
    bank_valid: Optional[Tensor] = None,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Low-level contrast: the peer's feature at the same pixel is the positive (CTT Eq 8).

    Args:
        query (Tensor): ``([P,] N, D)`` pixel features, normalised here. Receives the gradient.
        positive (Tensor): ``([P,] N, D)`` features of the peer student, constant.
        label (Tensor): ``([P,] N)`` int64, the peer's class; anything where ``valid`` is False.
        bank (Tensor): ``([P,] K, W, D)``, the banks of both pairs side by side, constant.
        temperature (float): Defaults to 0.5 (released code).
        valid (Tensor, optional): ``([P,] N)`` bool, the mask of Eq 9. Defaults to None: all.
        bank_valid (Tensor, optional): ``([P,] K, W)`` bool, filled entries. Defaults to None: all.
        mean_count (Callable, optional): See :func:`class_balanced_weight`.

    Returns:
        Tensor: ``(P,)``, a scalar without leading dimension; 0 with a graph where no pixel is
        selected.

    Raises:
        ValueError: If the feature widths of query and bank differ.
    """
    valid = _default_valid(valid, label)
    return _contrast(
        query, positive.detach(), label, bank, temperature, valid, bank_valid, mean_count
    )


def _contrast(
    query: Tensor,
    positive: Optional[Tensor],
    label: Tensor,
    bank: Tensor,
    temperature: float,
    valid: Tensor,
    bank_valid: Optional[Tensor],
    mean_count: Optional[Callable[[Tensor], Tensor]],
) -> Tensor:
    if query.shape[-1] != bank.shape[-1]:
        raise ValueError(
            f'the features are {query.shape[-1]} wide and the memory bank '
            f'{bank.shape[-1]}: set bank.dim to the width of the embedding'
        )
    if query.dim() == 2:
        return _contrast(
            query.unsqueeze(0),
            None if positive is None else positive.unsqueeze(0),
            label.unsqueeze(0),
            bank.unsqueeze(0),
            temperature,
            valid.unsqueeze(0),
            None if bank_valid is None else bank_valid.unsqueeze(0),
            mean_count,
        ).squeeze(0)
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    weight = class_balanced_weight(label, valid, bank.shape[1], mean_count).to(dtype)
    label = label.masked_fill(~valid, 0)
    with torch.autocast(query.device.type, enabled=False):
        # over the temperature here, where it costs no pass over the similarities
        keys = F.normalize(bank.detach().to(dtype), dim=3).div_(temperature)
        if positive is not None:
            positive = F.normalize(positive.to(dtype), dim=2).div_(temperature)
        query = query.to(dtype)
        rows = UnitRows.of(query)
        return bank_contrast(query, rows, positive, label, weight, keys, bank_valid, temperature)


def _default_valid(valid: Optional[Tensor], label: Tensor) -> Tensor:
    return torch.ones_like(label, dtype=torch.bool) if valid is None else valid
