# Copyright (c) mmseg_ctt contributors.
"""Contrast of pixels with all entries of class memory banks, in constant memory (CTT Eq 6-9).

Both contrasts take a query pixel with one or more positives against *all* bank entries of the
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

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# similarities held at a time on a CPU, 16 MiB in float32: fewer rows make matrix products that are
# too thin (4 MiB takes a tenth to a quarter more time)
CHUNK_ELEMENTS = 1 << 22
# cosines lie in [-1, 1], so exp(cos / t) and sums of it fit into float32 above this
SAFE_TEMPERATURE = 0.05
TINY = 1e-37  # about the smallest normal float32
SHORTEST = 1e-12  # feature length that still has a direction
FLAT = 40.0  # from here softplus(x) is x even in double precision


class UnitRows(NamedTuple):
    """Rows of length 1, and what they were divided by; constants.

    Attributes:
        unit (Tensor): ``(P, N, D)``. A zero feature has no direction: it stays zero.
        shrink (Tensor): ``(P, N, 1)``, the reciprocal of the length, 0 for a zero feature, so that
            this gets no gradient.
    """

    unit: Tensor
    shrink: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, query: Tensor) -> 'UnitRows':
        """Of ``(P, N, D)`` features."""
        length = query.norm(dim=2, keepdim=True)
        shrink = length.reciprocal().masked_fill_(length <= SHORTEST, 0)
        return cls(query * shrink, shrink)


def bank_contrast(
    query: Tensor,
    rows: UnitRows,
    positive: Optional[Tensor],
    label: Tensor,
    weight: Tensor,
    keys: Tensor,
    bank_valid: Optional[Tensor],
    temperature: float,
    elements: Optional[int] = None,
) -> Tensor:
    """Weighted sum of the contrast of all queries, with its gradient.

    Args:
        query (Tensor): ``(P, N, D)``. Receives the gradient.
        rows (UnitRows): Of the query.
        positive (Tensor, optional): ``(P, N, D)``, the positive of each, over the temperature.
            None: all entries of its class.
        label (Tensor): ``(P, N)`` int64 in ``[0, K)``.
        weight (Tensor): ``(P, N)`` float.
        keys (Tensor): ``(P, K, V, D)`` entries of length 1 over the temperature.
        bank_valid (Tensor, optional): ``(P, K, V)`` bool, filled entries. None: all.
        temperature (float): What the keys were divided by.
        elements (int, optional): Similarities held at a time. Defaults to None:
            :data:`CHUNK_ELEMENTS`.

    Returns:
        Tensor: ``(P,)``.
    """
    elements = elements or CHUNK_ELEMENTS
    return _BankContrast.apply(
        query, *rows, positive, label, weight, keys, bank_valid, temperature, elements
    )


class _Entries(NamedTuple):
    """Bank entries over the temperature, and which of them count.

    Attributes:
        keys (Tensor): ``(P, K, V, D)``.
        valid (Tensor, optional): ``(P, K, V)`` bool. None: all.
        ratio (float | Tensor, optional): ``(P, K, V)``, weight of each as a positive, or of all.
            None: there is another positive.
        temperature (float): What the keys were divided by.
    """

    keys: Tensor
    valid: Optional[Tensor]
    ratio: Union[None, float, Tensor]
    temperature: float


class _BankContrast(torch.autograd.Function):
    """Weighted sum ``(P,)`` of the contrast of all queries, with the gradient formed on the way.

    Shapes: query and unit ``(P, N, D)``, shrink ``(P, N, 1)``, positive ``(P, N, D)`` or None,
    label and weight ``(P, N)``, keys ``(P, K, V, D)``, bank_valid ``(P, K, V)`` or None.
    """

    @staticmethod
    def forward(
        ctx, query, unit, shrink, positive, label, weight, keys, bank_valid, temperature, elements
    ):
        ratio = None if positive is not None else _positive_weight(keys, bank_valid)
        entries = _Entries(keys, bank_valid, ratio, temperature)
        rows = max(1, elements // keys.shape[:3].numel())
        given = (unit, shrink, positive, label, weight)
        if unit.shape[1] <= rows:
            loss, gradient = _weighted(given, entries)
        else:
            loss, gradient = _by_chunks(rows, given, entries)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (gradient,) = ctx.saved_tensors
        return (grad_output.view(-1, 1, 1) * gradient,) + (None,) * 9


_Given = Tuple[Tensor, Tensor, Optional[Tensor], Tensor, Tensor]


def _by_chunks(rows: int, given: _Given, entries: _Entries) -> Tuple[Tensor, Tensor]:
    """:func:`_weighted` of ``rows`` queries at a time."""
    unit = given[0]
    gradient, loss = torch.empty_like(unit), unit.new_zeros(unit.shape[0])
    kept = gradient.split(rows, dim=1)
    pieces: List[Sequence[Any]] = [
        [None] * len(kept) if part is None else part.split(rows, dim=1) for part in given
    ]
    for part, target in zip(zip(*pieces), kept):
        value, slope = _weighted(part, entries)
        loss += value
        target.copy_(slope)
    return loss, gradient


def _weighted(given: _Given, entries: _Entries) -> Tuple[Tensor, Tensor]:
    """Weighted sum ``(P,)`` of :func:`_chunk`, and its gradient ``(P, n, D)``."""
    unit, shrink, positive, label, weight = given
    keys, valid, ratio, temperature = entries
    value, slope = _chunk(unit, positive, label, keys, valid, ratio, temperature)
    slope -= (slope * unit).sum(2, keepdim=True) * unit  # through the normalisation
    return (value * weight).sum(1), slope.mul_(shrink * weight.unsqueeze(2))


def _chunk(
    unit: Tensor,
    positive: Optional[Tensor],
    label: Tensor,
    keys: Tensor,
    bank_valid: Optional[Tensor],
    ratio: Union[None, float, Tensor],
    temperature: float,
) -> Tuple[Tensor, Tensor]:
    """Loss ``(P, n)`` and its gradient ``(P, n, D)`` with respect to the unit queries.

    ``ratio`` ``(P, K, V)`` or of all is the weight of each positive, None where the peer is the
    only one.
    """
    num_classes, size = keys.shape[1:3]
    flat = keys.flatten(1, 2)
    score = torch.bmm(unit, flat.transpose(1, 2)).unflatten(2, (num_classes, size))
    label = label.unsqueeze(2)
    own = label.unsqueeze(3).expand(-1, -1, 1, size)
    if ratio is not None:
        hit = score.gather(2, own).squeeze(2)  # (P, n, V): each own entry is a positive
        if isinstance(ratio, Tensor):
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


def _positive_weight(keys: Tensor, bank_valid: Optional[Tensor]) -> Union[float, Tensor]:
    """``(P, K, V)``: ``1 / P_c`` for each positive of class ``c`` that counts, 0 for the others."""
    if bank_valid is None:
        return 1 / keys.shape[2]
    filled = bank_valid.to(keys.dtype)
    return filled / filled.sum(2, keepdim=True).clamp_(min=1)
