# Copyright (c) mmseg_ctt contributors.
"""CTT Eq 6-9, one query and one positive at a time, differentiated by autograd."""

from typing import List, Optional

import torch
from torch import Tensor


def unit(vectors: Tensor) -> Tensor:
    """Every vector ``(..., D)`` over its length, in float64; a zero vector stays zero."""
    vectors = vectors.double()
    return vectors / (vectors * vectors).sum(-1, keepdim=True).clamp(min=1e-24).sqrt()


def one_term(positive: Tensor, negatives: List[Tensor]) -> Tensor:
    """``-log(e^p / (e^p + sum e^n))`` of similarities over temperature."""
    return torch.logsumexp(torch.stack([positive, *negatives]), dim=0) - positive


def class_mean(terms: List[Tensor], classes: List[int], like: Tensor) -> Tensor:
    """Mean per class, then mean over the classes that have a term."""
    if not terms:
        return like.sum() * 0
    means = []
    for c in sorted(set(classes)):
        own = [term for term, k in zip(terms, classes) if k == c]
        means.append(sum(own) / len(own))
    return sum(means) / len(means)


def _filled(bank: Tensor, bank_valid: Optional[Tensor], c: int) -> List[Tensor]:
    return [k for v, k in enumerate(bank[c]) if bank_valid is None or bank_valid[c, v]]


def _negatives(
    q: Tensor, bank: Tensor, bank_valid: Optional[Tensor], own: int, temperature: float
) -> List[Tensor]:
    return [
        torch.dot(q, k) / temperature
        for c in range(bank.shape[0])
        if c != own
        for k in _filled(bank, bank_valid, c)
    ]


def high_level(
    query: Tensor,
    label: Tensor,
    bank: Tensor,
    temperature: float,
    valid: Optional[Tensor] = None,
    bank_valid: Optional[Tensor] = None,
) -> Tensor:
    """Eq 6: every bank entry of the class is a positive on its own."""
    query, bank = unit(query), unit(bank)
    terms, classes = [], []
    for i in range(query.shape[0]):
        if valid is not None and not valid[i]:
            continue
        c = int(label[i])
        positives = _filled(bank, bank_valid, c)
        if not positives:
            continue
        negatives = _negatives(query[i], bank, bank_valid, c, temperature)
        each = [one_term(torch.dot(query[i], k) / temperature, negatives) for k in positives]
        terms.append(sum(each) / len(each))
        classes.append(c)
    return class_mean(terms, classes, query)


def low_level(
    query: Tensor,
    positive: Tensor,
    label: Tensor,
    bank: Tensor,
    temperature: float,
    valid: Optional[Tensor] = None,
    bank_valid: Optional[Tensor] = None,
) -> Tensor:
    """Eq 8: the peer's feature at the same pixel is the only positive."""
    query, positive, bank = unit(query), unit(positive.detach()), unit(bank)
    terms, classes = [], []
    for i in range(query.shape[0]):
        if valid is not None and not valid[i]:
            continue
        c = int(label[i])
        negatives = _negatives(query[i], bank, bank_valid, c, temperature)
        terms.append(one_term(torch.dot(query[i], positive[i]) / temperature, negatives))
        classes.append(c)
    return class_mean(terms, classes, query)
