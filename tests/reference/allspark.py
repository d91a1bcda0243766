# Copyright (c) mmseg_ctt contributors.
"""AllSpark's attention between channels and its memory, one number at a time."""

import math
from typing import List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Of one image and head: ``(R, n)``, ``(S, n)``, ``(S, n)`` to ``(R, n)``.

    Scores are normalised as an image of one channel, as the paper writes it.
    """
    scores = torch.stack([torch.stack([(q * k).sum() for k in key]) for q in query])
    weights = F.instance_norm(scores[None, None])[0, 0].softmax(dim=1)
    return torch.stack([sum(w * v for w, v in zip(row, value)) for row in weights])


def class_of(channel: Tensor, scores: Tensor) -> int:
    """Class of a channel ``(n,)`` by maps ``(K, n)``."""
    similar = []
    for scores_of_class in scores:
        norm = math.sqrt(sum(float(x) ** 2 for x in scores_of_class)) or 1.0
        similar.append(sum(float(a) * float(b) / norm for a, b in zip(scores_of_class, channel)))
    return similar.index(max(similar))


def write(queues: Tensor, pointer: List[int], rows: Tensor, label: List[int]) -> Tuple:
    """Queues ``(K, V, n)`` and pointers after rows ``(N, n)`` were written one after the other."""
    queues, pointer = queues.clone(), list(pointer)
    for row, k in zip(rows, label):
        queues[k, pointer[k]] = row
        pointer[k] = (pointer[k] + 1) % queues.shape[1]
    return queues, pointer
