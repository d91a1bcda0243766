# Copyright (c) mmseg_ctt contributors.
"""Contrasts of single pixels, one after the other: CAC, ReCo, PixCon."""

from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return F.cosine_similarity(a, b, dim=0)


def directional(
    query: Tensor, positive: Tensor, label: int, keys: Tensor, key_label: Tensor, temperature: float
) -> Tensor:
    """CAC: one pixel, its positive, and the keys of other classes; -1 labels no key."""
    hit = (query @ positive / temperature).exp()
    away = [
        (query @ key / temperature).exp()
        for key, other in zip(keys, key_label.tolist())
        if other >= 0 and other != label
    ]
    return -(hit / (hit + sum(away))).log()


def regional(
    feature: Tensor,
    query: Tensor,
    prototype: Tensor,
    negative: Tensor,
    weight: Tensor,
    temperature: float,
) -> Tensor:
    """ReCo: queries of every class, each with its own negative keys."""
    total = feature.new_zeros(())
    for c, pixels in enumerate(query.tolist()):
        values = []
        for q, pixel in enumerate(pixels):
            hit = (cosine(feature[pixel], prototype[c]) / temperature).exp()
            keys = [feature[k].detach() for k in negative[c, q].tolist()]
            away = [(cosine(feature[pixel], key) / temperature).exp() for key in keys]
            values.append(-(hit / (hit + sum(away))).log())
        total = total + weight[c] * torch.stack(values).mean()
    return total


def class_probability(prototype: Tensor, present: List[bool], c: int, temperature: float) -> Tensor:
    """ReCo: with which probability each class gives a negative key of class ``c``."""
    value = [
        (cosine(prototype[c], prototype[k]) / temperature).exp() if there and k != c else 0
        for k, there in enumerate(present)
    ]
    return torch.tensor([float(v) for v in value]) / max(float(sum(value)), 1e-12)


def summed_positives(
    anchor: Tensor, label: List[int], bank: Tensor, filled: Tensor, temperature: float
) -> Optional[Tensor]:
    """PixCon: the positives of an anchor are summed inside the logarithm."""
    values = []
    for a, c in zip(anchor, label):
        if c < 0 or not filled[c].any():
            continue
        score = [
            [(a @ bank[k, v] / temperature).exp() for v in range(len(bank[k])) if filled[k, v]]
            for k in range(len(bank))
        ]
        every = sum(sum(row) for row in score)
        values.append(every.log() - sum(score[c]).log())
    return torch.stack(values).mean() if values else None
