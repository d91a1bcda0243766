# Copyright (c) mmseg_ctt contributors.
"""High-level and low-level contrast with class memory banks, in constant memory (CTT Eq 6-9).

Both losses contrast a query pixel with one or more positives against *all* bank entries of the
other classes. Written with autograd they would keep several copies of the ``N x K x V``
similarities. Here a chunk of queries at a time goes through one matrix product, the loss and its
gradient are formed in the same buffer, and only the ``(N, D)`` gradient is kept.

With similarities ``s`` (cosine over temperature), ``neg = sum exp(s)`` over other classes and the
positives ``p`` of a query::

    l = mean_p [ log(exp(s_p) + neg) - s_p ]
    dl/ds_p = -a_p / P,   dl/ds_neg = exp(s_neg) / neg * mean_p a_p,
    a_p = neg / (exp(s_p) + neg) = sigmoid(log neg - s_p)

A leading dimension ``P`` holds problems of their own, such as the pairs of CTT, in one call.
"""

from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...functional.selection import class_balanced_weight

# similarities held at a time, 16 MiB in float32: fewer rows make matrix products that are too thin
# (on a CPU, 4 MiB takes a tenth to a quarter more time)
CHUNK_ELEMENTS = 1 << 22
# cosines lie in [-1, 1], so exp(cos / t) and sums of it fit into float32 above this
SAFE_TEMPERATURE = 0.05
TINY = 1e-37  # about the smallest normal float32
SHORTEST = 1e-12  # feature length that still has a direction
FLAT = 40.0  # from here softplus(x) is x even in double precision


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
        return _BankContrast.apply(
            query.to(dtype), positive, label, weight, keys, bank_valid, temperature
        )


def _default_valid(valid: Optional[Tensor], label: Tensor) -> Tensor:
    return torch.ones_like(label, dtype=torch.bool) if valid is None else valid


class _BankContrast(torch.autograd.Function):
    """Weighted sum ``(P,)`` of the contrast of all queries, with the gradient formed on the way.

    Shapes: query ``(P, N, D)``, positive the same or None, label and weight ``(P, N)``, keys
    ``(P, K, V, D)``, bank_valid ``(P, K, V)`` or None.
    """

    @staticmethod
    def forward(ctx, query, positive, label, weight, keys, bank_valid, temperature):
        rows = max(1, CHUNK_ELEMENTS // keys.shape[:3].numel())
        gradient = torch.zeros_like(query) if ctx.needs_input_grad[0] else None
        query = query.detach()  # torch.compile before 2.6 cannot trace the chunks without it
        ratio = None if positive is not None else _positive_weight(keys, bank_valid)
        loss = query.new_zeros(query.shape[0])
        pieces = [
            [None] * (query.shape[1] // rows + 1) if tensor is None else tensor.split(rows, dim=1)
            for tensor in (query, positive, label, weight, gradient)
        ]
        for part, peer, own, scale, kept in zip(*pieces):
            length = part.norm(dim=2, keepdim=True)
            # a zero feature has no direction: it stays zero and gets no gradient
            shrink = length.reciprocal().masked_fill_(length <= SHORTEST, 0)
            unit = part * shrink
            value, slope = _chunk(unit, peer, own, keys, bank_valid, ratio, temperature)
            loss += (value * scale).sum(1)
            if kept is not None:
                slope -= (slope * unit).sum(2, keepdim=True) * unit  # through the normalisation
                torch.mul(slope, shrink.mul_(scale.unsqueeze(2)), out=kept)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (gradient,) = ctx.saved_tensors
        return (grad_output.view(-1, 1, 1) * gradient,) + (None,) * 6


def _chunk(
    unit: Tensor,
    positive: Optional[Tensor],
    label: Tensor,
    keys: Tensor,
    bank_valid: Optional[Tensor],
    ratio: Optional[Tensor],
    temperature: float,
) -> Tuple[Tensor, Tensor]:
    """Loss ``(P, n)`` and its gradient ``(P, n, D)`` with respect to the unit queries.

    ``ratio`` ``(P, K, V)`` is the weight of each positive, None where the peer is the only one.
    """
    num_classes, size = keys.shape[1:3]
    flat = keys.flatten(1, 2)
    score = torch.bmm(unit, flat.transpose(1, 2)).unflatten(2, (num_classes, size))
    label = label.unsqueeze(2)
    own = label.unsqueeze(3).expand(-1, -1, 1, size)
    if ratio is not None:
        hit = score.gather(2, own).squeeze(2)  # (P, n, V): each own entry is a positive
        ratio = ratio.gather(1, label.expand(-1, -1, size))
    else:
        assert positive is not None
        hit = (unit * positive).sum(2, keepdim=True)  # (P, n, 1)
    if temperature < SAFE_TEMPERATURE:
        # by the largest negative; own entries may overflow, they are overwritten below
        if bank_valid is not None:
            score.masked_fill_(~bank_valid.unsqueeze(1), -torch.inf)
        shift = score.amax(3).scatter_(2, label, -torch.inf).amax(2, keepdim=True)
        shift = shift.clamp_(min=-1 / temperature)
        score.sub_(shift.unsqueeze(3))
        hit = hit - shift
    score.exp_()
    if bank_valid is not None:
        score *= bank_valid.unsqueeze(1)
    negative = score.sum(3).scatter_(2, label, 0).sum(2, keepdim=True)  # (P, n, 1)
    margin = negative.log() - hit
    loss, pull = F.softplus(margin, threshold=FLAT), margin.sigmoid_()  # pull: a_p / P below
    if ratio is not None:
        loss, pull = loss.mul_(ratio), pull.mul_(ratio)
    # the negatives' common factor goes over the (n, D) slope, not over the (n, K*V) similarities
    factor = (pull.sum(2, keepdim=True) / negative.clamp_(min=TINY)).clamp_(min=TINY)
    score.scatter_(2, own, 0 if ratio is None else (-pull / factor).unsqueeze(2))
    slope = torch.bmm(score.flatten(2), flat).mul_(factor)
    if ratio is None:
        slope -= pull * positive
    return loss.sum(2), slope


def _positive_weight(keys: Tensor, bank_valid: Optional[Tensor]) -> Tensor:
    """``(P, K, V)``: ``1 / P_c`` for each positive of class ``c`` that counts, 0 for the others."""
    if bank_valid is None:
        return keys.new_full(keys.shape[:3], 1 / keys.shape[2])
    filled = bank_valid.to(keys.dtype)
    return filled / filled.sum(2, keepdim=True).clamp_(min=1)
