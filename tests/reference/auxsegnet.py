# Copyright (c) mmseg_ctt contributors.
"""AuxSegNet's formulae, position by position."""

import math

import torch
from torch import Tensor


def affinity(query: Tensor, key: Tensor) -> Tensor:
    """``(n, n)`` from two ``(D, h, w)``."""
    queries, keys = query.flatten(1).T.tolist(), key.flatten(1).T.tolist()
    rows = []
    for q in queries:
        powers = [math.exp(sum(a * b for a, b in zip(q, k))) for k in keys]
        rows.append([power / sum(powers) for power in powers])
    return torch.tensor(rows)


def propagated(affinity: Tensor, maps: Tensor) -> Tensor:
    """``(C, h, w)`` from ``(n, n)`` and ``(C, h, w)``."""
    flat, out = maps.flatten(1), torch.zeros_like(maps).flatten(1)
    for channel in range(len(flat)):
        for i in range(flat.shape[1]):
            for j in range(flat.shape[1]):
                out[channel, i] += affinity[i, j] * flat[channel, j]
    return out.view(maps.shape)


def saliency_loss(logits: Tensor, saliency: Tensor, valid: Tensor) -> float:
    """Mean over valid pixels of one image, ``(H, W)`` each."""
    losses = []
    for z, s, counts in zip(*(m.flatten().tolist() for m in (logits, saliency, valid))):
        p = 1 / (1 + math.exp(-z))
        losses += [-math.log(p if s > 0.5 else 1 - p)] * bool(counts)
    return sum(losses) / len(losses)
