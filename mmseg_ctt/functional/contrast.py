# Copyright (c) mmseg_ctt contributors.
"""Pixel contrast against class memory banks, in constant memory.

Both losses contrast a query pixel with one or more positives against *all* bank entries of the
other classes. Written with autograd they would keep several copies of the ``N x K x V``
similarities. Here a chunk of queries at a time goes through one matrix product, the loss and its
gradient are formed in the same buffer, and only the ``(N, D)`` gradient is kept.

With similarities ``s`` (cosine over temperature), ``neg = sum exp(s)`` over other classes and the
positives ``p`` of a query::

    l = mean_p [ log(exp(s_p) + neg) - s_p ]
    dl/ds_p = -a_p / P,   dl/ds_neg = exp(s_neg) / neg * mean_p a_p,
    a_p = neg / (exp(s_p) + neg) = sigmoid(log neg - s_p)
"""
from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .selection import class_balanced_weight

# similarities held at a time, 16 MiB in float32: fewer rows make matrix products that are too thin
# (on a CPU, 4 MiB takes a tenth to a quarter more time)
CHUNK_ELEMENTS = 1 << 22
# cosines lie in [-1, 1], so exp(cos / t) and sums of it fit into float32 above this
SAFE_TEMPERATURE = 0.05
TINY = 1e-37  # about the smallest normal float32


def high_level_contrast(query: Tensor,
                        label: Tensor,
                        bank: Tensor,
                        temperature: float = 0.1,
                        valid: Optional[Tensor] = None,
                        bank_valid: Optional[Tensor] = None,
                        mean_count: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
    """High-level contrast: every bank entry of a pixel's class is a positive (CTT Eq 6).

    Each positive is contrasted on its own with all entries of the other classes; mean over the
    positives, then over the pixels of a class, then over the classes that have a pixel.

    Args:
        query (Tensor): ``(N, D)`` pixel features, normalised here. Receives the gradient.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        bank (Tensor): ``(K, V, D)`` features, constant.
        temperature (float): Defaults to 0.1 (released code).
        valid (Tensor, optional): ``(N,)`` bool, the mask of Eq 7. Defaults to None: all.
        bank_valid (Tensor, optional): ``(K, V)`` bool, filled slots. Pixels of a class without
            any are left out. Defaults to None: all.
        mean_count (Callable, optional): See :func:`class_balanced_weight`.

    Returns:
        Tensor: Scalar; 0 with a graph if no pixel is selected.

    Raises:
        ValueError: If the feature widths of query and bank differ.
    """
    valid = _default_valid(valid, label)
    if bank_valid is not None:
        known = bank_valid.any(dim=1)
        valid = valid & known[label.masked_fill(~valid, 0)]
    return _contrast(query, None, label, bank, temperature, valid, bank_valid, mean_count)


def low_level_contrast(query: Tensor,
                       positive: Tensor,
                       label: Tensor,
                       bank: Tensor,
                       temperature: float = 0.5,
                       valid: Optional[Tensor] = None,
                       bank_valid: Optional[Tensor] = None,
                       mean_count: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
    """Low-level contrast: the peer's feature at the same pixel is the positive (CTT Eq 8).

    Args:
        query (Tensor): ``(N, D)`` pixel features, normalised here. Receives the gradient.
        positive (Tensor): ``(N, D)`` features of the peer student, constant.
        label (Tensor): ``(N,)`` int64, the peer's class; anything where ``valid`` is False.
        bank (Tensor): ``(K, W, D)``, the banks of both pairs side by side, constant.
        temperature (float): Defaults to 0.5 (released code).
        valid (Tensor, optional): ``(N,)`` bool, the mask of Eq 9. Defaults to None: all.
        bank_valid (Tensor, optional): ``(K, W)`` bool, filled slots. Defaults to None: all.
        mean_count (Callable, optional): See :func:`class_balanced_weight`.

    Returns:
        Tensor: Scalar; 0 with a graph if no pixel is selected.

    Raises:
        ValueError: If the feature widths of query and bank differ.
    """
    valid = _default_valid(valid, label)
    return _contrast(query, positive.detach(), label, bank, temperature, valid, bank_valid,
                     mean_count)


def _contrast(query: Tensor, positive: Optional[Tensor], label: Tensor, bank: Tensor,
              temperature: float, valid: Tensor, bank_valid: Optional[Tensor],
              mean_count: Optional[Callable[[Tensor], Tensor]]) -> Tensor:
    if query.shape[1] != bank.shape[2]:
        raise ValueError(f'the features are {query.shape[1]} wide and the memory bank '
                         f'{bank.shape[2]}: set bank.dim to the width of the embedding')
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    weight = class_balanced_weight(label, valid, bank.shape[0], mean_count).to(dtype)
    label = label.masked_fill(~valid, 0)
    with torch.autocast(query.device.type, enabled=False):
        # over the temperature here, where it costs no pass over the similarities
        keys = F.normalize(bank.detach().to(dtype), dim=2).div_(temperature)
        if positive is not None:
            positive = F.normalize(positive.to(dtype), dim=1).div_(temperature)
        return _BankContrast.apply(query.to(dtype), positive, label, weight, keys, bank_valid,
                                   temperature)


def _default_valid(valid: Optional[Tensor], label: Tensor) -> Tensor:
    return torch.ones_like(label, dtype=torch.bool) if valid is None else valid


class _BankContrast(torch.autograd.Function):
    """Weighted sum of the contrast of all queries, with the gradient formed on the way."""

    @staticmethod
    def forward(ctx, query, positive, label, weight, keys, bank_valid, temperature):
        rows = max(1, CHUNK_ELEMENTS // (keys.shape[0] * keys.shape[1]))
        gradient = torch.zeros_like(query) if ctx.needs_input_grad[0] else None
        loss = query.new_zeros(())
        for begin in range(0, query.shape[0], rows):
            part = slice(begin, begin + rows)
            norm = query[part].norm(dim=1, keepdim=True)
            # a zero feature has no direction: it stays zero and gets no gradient
            scale = torch.where(norm > 1e-12, norm.reciprocal(), 0)
            unit = query[part] * scale
            peer = None if positive is None else positive[part]
            value, slope = _chunk(unit, peer, label[part], keys, bank_valid, temperature)
            loss += (value * weight[part]).sum()
            if gradient is not None:
                slope -= (slope * unit).sum(1, keepdim=True) * unit  # through the normalisation
                gradient[part] = slope * (weight[part].unsqueeze(1) * scale)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        gradient, = ctx.saved_tensors
        return (grad_output * gradient, ) + (None, ) * 6


def _chunk(unit: Tensor, positive: Optional[Tensor], label: Tensor, keys: Tensor,
           bank_valid: Optional[Tensor], temperature: float) -> Tuple[Tensor, Tensor]:
    """Loss ``(n,)`` and its gradient ``(n, D)`` with respect to the unit queries ``(n, D)``."""
    num_classes, size, width = keys.shape
    flat = keys.view(-1, width)
    score = (unit @ flat.t()).view(-1, num_classes, size)  # (n, K, V)
    own = label.view(-1, 1, 1).expand(-1, 1, size)
    if positive is None:
        hit = score.gather(1, own).squeeze(1)  # (n, V): each own entry is a positive
    else:
        hit = (unit * positive).sum(1, keepdim=True)  # (n, 1)
    if temperature < SAFE_TEMPERATURE:
        # by the largest negative; own entries may overflow, they are overwritten below
        if bank_valid is not None:
            score.masked_fill_(~bank_valid, -torch.inf)
        shift = score.amax(2).scatter_(1, label.unsqueeze(1), -torch.inf).amax(1, keepdim=True)
        shift = shift.clamp_(min=-1 / temperature)
        score.sub_(shift.unsqueeze(2))
        hit = hit - shift
    score.exp_()
    if bank_valid is not None:
        score *= bank_valid
    negative = score.sum(2).scatter_(1, label.unsqueeze(1), 0).sum(1, keepdim=True)  # (n, 1)
    log_negative = negative.log()
    share = _positive_share(hit, label, None if positive is not None else bank_valid)
    loss = ((torch.logaddexp(hit, log_negative) - hit) * share).sum(1)
    pull = torch.sigmoid(log_negative - hit) * share  # a_p / P
    # the negatives' common factor goes over the (n, D) slope, not over the (n, K*V) similarities
    factor = (pull.sum(1, keepdim=True) / negative.clamp(min=TINY)).clamp_(min=TINY)
    score.scatter_(1, own, (-pull / factor).unsqueeze(1) if positive is None else 0)
    slope = (score.view(-1, num_classes * size) @ flat).mul_(factor)
    if positive is not None:
        slope -= pull * positive
    return loss, slope


def _positive_share(hit: Tensor, label: Tensor, bank_valid: Optional[Tensor]) -> Tensor:
    """``1 / P`` for each positive that counts, 0 for empty slots; broadcasts to ``hit``."""
    if bank_valid is None:
        return hit.new_full((1, 1), 1 / hit.shape[1])
    filled = bank_valid.to(hit.dtype)
    return (filled / filled.sum(1, keepdim=True).clamp(min=1))[label]
