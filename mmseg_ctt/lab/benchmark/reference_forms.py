# Copyright (c) mmseg_ctt contributors.
"""Reference forms of the benchmarks: slow, with the structure of released code.

They loop over classes, select pixels by boolean masks, keep every similarity for autograd, shift a
queue by copying, and average tensor by tensor. Values and gradients are those of
:mod:`mmseg_ctt.functional`.
"""

from typing import List, Sequence

import torch
from torch import Tensor


def high_level_per_class(
    query: Tensor, label: Tensor, bank: Tensor, temperature: float, valid: Tensor
) -> Tensor:
    """Reference of :func:`~mmseg_ctt.functional.high_level_contrast` (CTT Eq 6)."""
    total, present = query.new_zeros(()), 0
    for c in range(len(bank)):
        chosen = valid & (label == c)
        if chosen.sum() == 0:
            continue
        own = query[chosen]  # (n, D)
        positive = _exponentials(own, bank[c], temperature)  # (n, V)
        negative = _exponentials(own, _others(bank, c), temperature).sum(1, keepdim=True)
        total = total - torch.log(positive / (positive + negative)).mean()
        present += 1
    return total / max(present, 1)


def low_level_per_class(
    query: Tensor, positive: Tensor, label: Tensor, bank: Tensor, temperature: float, valid: Tensor
) -> Tensor:
    """Reference of :func:`~mmseg_ctt.functional.low_level_contrast` (CTT Eq 8)."""
    total, present = query.new_zeros(()), 0
    for c in range(len(bank)):
        chosen = valid & (label == c)
        if chosen.sum() == 0:
            continue
        own, peer = query[chosen], positive[chosen].detach()
        lengths = own.norm(dim=1) * peer.norm(dim=1)
        pull = torch.exp((own * peer).sum(1) / lengths / temperature)  # (n,)
        negative = _exponentials(own, _others(bank, c), temperature).sum(1)
        total = total - torch.log(pull / (pull + negative)).mean()
        present += 1
    return total / max(present, 1)


def _exponentials(query: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """``exp(cosine / temperature)`` ``(n, m)``, the product divided by the lengths."""
    lengths = torch.outer(query.norm(dim=1), keys.norm(dim=1))
    return torch.exp(query @ keys.t() / lengths / temperature)


def _others(bank: Tensor, c: int) -> Tensor:
    """Entries ``((K - 1) * V, D)`` of all classes but ``c``."""
    return bank[[k for k in range(len(bank)) if k != c]].flatten(0, 1)


@torch.no_grad()
def ema_per_tensor(teacher: Sequence[Tensor], student: Sequence[Tensor], alpha: float) -> None:
    """EMA ``teacher = alpha * teacher + (1 - alpha) * student``, tensor by tensor."""
    for old, new in zip(teacher, student):
        old.data[:] = alpha * old[:].data + (1 - alpha) * new[:].data


class QueuePerClass:
    """Memory bank of one queue per class, oldest entry first.

    Args:
        num_classes (int): Number of classes ``K``.
        size (int): Entries of a queue ``V``.
        dim (int): Width of an entry ``D``.
        device (torch.device): Device of the entries.
    """

    def __init__(self, num_classes: int, size: int, dim: int, device: torch.device) -> None:
        self.features = torch.zeros(num_classes, size, dim, device=device)
        self.counts: List[int] = [0] * num_classes

    @torch.no_grad()
    def push(
        self, feature: Tensor, label: Tensor, confidence: Tensor, valid: Tensor, budget: int
    ) -> None:
        """Append the ``budget`` most confident candidates of each class, or all in their order."""
        present = label.unique()
        for c in range(len(self.features)):
            if c not in present:
                continue
            chosen = valid & (label == c)
            entry = feature[chosen]
            if len(entry) >= budget:
                entry = entry[confidence[chosen].sort(descending=True).indices[:budget]]
            self._append(c, entry)

    def _append(self, c: int, entry: Tensor) -> None:
        size = self.features.shape[1]
        kept = min(self.counts[c], size - len(entry))
        if kept < self.counts[c]:
            self.features[c, :kept] = self.features[
                c, self.counts[c] - kept : self.counts[c]
            ].clone()
        self.features[c, kept : kept + len(entry)] = entry
        self.counts[c] = kept + len(entry)
