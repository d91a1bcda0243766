# Copyright (c) mmseg_ctt contributors.
"""U2PL, one pixel, one class and one anchor at a time."""

import math
from typing import Dict, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor


def entropy(probability: Sequence[float]) -> float:
    """Of one pixel, in nats."""
    return -sum(p * math.log(p) for p in probability if p > 0)


def ends(entropies: np.ndarray, valid: np.ndarray, percent: float) -> Tuple[list, list]:
    """Indices of the surest and of the least sure pixels."""
    chosen = entropies[valid]
    low, high = np.percentile(chosen, percent), np.percentile(chosen, 100 - percent)
    pixels = [i for i in range(len(entropies)) if valid[i]]
    return ([i for i in pixels if entropies[i] <= low], [i for i in pixels if entropies[i] >= high])


def reliable_loss(logits: Tensor, label: Tensor, reliable: Tensor, ignore: int = 255) -> Tensor:
    """Mean cross-entropy ``(N, K)`` of the kept pixels times all pixels over the kept ones."""
    kept = [i for i in range(len(label)) if reliable[i] and int(label[i]) != ignore]
    if not kept:
        return logits.sum() * 0
    terms = [torch.logsumexp(logits[i], 0) - logits[i, int(label[i])] for i in kept]
    return sum(terms) / len(kept) * (len(label) / len(kept))


def negatives(
    prob: Tensor,
    label: Sequence[int],
    known: Sequence[bool],
    unreliable: Sequence[bool],
    ranks: Tuple[int, int],
    below: float = 1.0,
    rule: str = 'paper',
) -> Dict[int, List[int]]:
    """Pixels that are negatives of each class, in their order."""
    num_classes = prob.shape[1]
    found: Dict[int, List[int]] = {c: [] for c in range(num_classes)}
    for i in range(len(prob)):
        order = sorted(range(num_classes), key=lambda c: -float(prob[i, c]))
        for c in range(num_classes):
            place = order.index(c)
            labelled = known[i] and int(label[i]) != c and place < ranks[0]
            unlabelled = unreliable[i] and ranks[0] <= place < ranks[1]
            if rule == 'released' and int(label[i]) != c:
                continue
            if (labelled or unlabelled) and float(prob[i, c]) < below:
                found[c].append(i)
    return found


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of two vectors."""
    return torch.dot(a, b) / (a.norm() * b.norm())


def contrast(
    query: Tensor,
    anchors: Dict[int, Sequence[int]],
    prototype: Tensor,
    bank: Tensor,
    slots: Dict[int, Sequence[Sequence[int]]],
    weight: Sequence[float],
    temperature: float,
) -> Tensor:
    """Weighted sum over classes of the mean over anchors of a softmax cross-entropy."""
    total = query.sum() * 0
    for c, pixels in anchors.items():
        terms = []
        for pixel, negative in zip(pixels, slots[c]):
            own = cosine(query[pixel], prototype[c]) / temperature
            others = [cosine(query[pixel], bank[c, slot]) / temperature for slot in negative]
            terms.append(torch.logsumexp(torch.stack([own, *others]), 0) - own)
        total = total + weight[c] * sum(terms) / len(terms)
    return total


def class_mean(feature: Tensor, label: Sequence[int], valid: Sequence[bool], c: int) -> Tensor:
    """Mean feature of the valid pixels of a class."""
    rows = [feature[i] for i in range(len(feature)) if valid[i] and int(label[i]) == c]
    return sum(rows) / len(rows)
