# Copyright (c) mmseg_ctt contributors.
"""STPG one pixel, one class and one memory entry at a time, in float64."""

import itertools
import math
from typing import List, Optional, Sequence

import torch
from torch import Tensor

from .contrast import unit


def confusion(teacher: Sequence[int], student: Sequence[int], num_classes: int) -> List[List[int]]:
    """Rows teacher, columns student, without the 1 on the diagonal."""
    table = [[0] * num_classes for _ in range(num_classes)]
    for t, s in zip(teacher, student):
        table[int(t)][int(s)] += 1
    return table


def mismatch(teacher: Sequence[int], student: Sequence[int], num_classes: int) -> List[float]:
    """(1 - precision) + (1 - recall) of each class, over the sum."""
    table = confusion(teacher, student, num_classes)
    for c in range(num_classes):
        table[c][c] += 1
    raw = []
    for c in range(num_classes):
        precision = table[c][c] / sum(table[r][c] for r in range(num_classes))
        recall = table[c][c] / sum(table[c])
        raw.append((1 - precision) + (1 - recall))
    return [value / sum(raw) if sum(raw) else 0.0 for value in raw]


def selected(teacher: Sequence[int], student: Sequence[int], score: Sequence[float]) -> List[bool]:
    """Agreeing pixels, and those where the teacher's class has the larger mismatch."""
    return [
        int(t) == int(s) or float(score[int(t)]) > float(score[int(s)])
        for t, s in zip(teacher, student)
    ]


def centroid(old: Tensor, features: List[Tensor], momentum: float) -> Tensor:
    """Of one class, after a batch with these features of it."""
    if not features:
        return old.double()
    mean = sum(unit(f) for f in features) / len(features)
    return unit(momentum * old.double() + (1 - momentum) * unit(mean))


def contrast(
    feature: Tensor,
    label: Tensor,
    anchors: Tensor,
    memory: Optional[List[List[Tensor]]],
    temperature: float,
    minimum: int = 2,
    average: str = 'all',
    valid: Optional[Sequence[bool]] = None,
) -> Tensor:
    """Anchor term and memory term, class by class, differentiated by autograd."""
    classes = range(anchors.shape[0])
    terms, present = feature.double().sum() * 0, 0
    for c in classes:
        own = [
            unit(feature[i])
            for i in range(len(label))
            if int(label[i]) == c and (valid is None or bool(valid[i]))
        ]
        if not own or len(own) < minimum:
            continue
        present += 1
        values = []
        for f in own:
            logits = [torch.dot(f, a) / temperature for a in anchors.double()]
            values.append(torch.logsumexp(torch.stack(logits), 0) - logits[c])
        terms = terms + sum(values) / len(values)
        if memory is not None and len(memory[c]) >= minimum:
            pairs = [1 - torch.dot(f, unit(m)) for f in own for m in memory[c]]
            terms = terms + sum(pairs) / len(pairs)
    return terms / (len(classes) if average == 'all' else max(present, 1))


def best_matching(cosine: Tensor) -> List[int]:
    """The permutation of the largest sum, by trying them all."""
    rows = range(len(cosine))
    return list(
        max(
            itertools.permutations(rows),
            key=lambda p: math.fsum(float(cosine[c, p[c]]) for c in rows),
        )
    )
