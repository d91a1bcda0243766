# Copyright (c) mmseg_ctt contributors.
"""Class-wise connected graph over labelled embeddings, and the loss of its triplets."""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .precision import full_precision
from .random_index import random_index


class ClassGraph(NamedTuple):
    """Links of every node of a graph, which is the anchor of one triplet.

    Attributes:
        positive (Tensor): ``(N,)`` int64, a node of the same class; the node itself where it is
            the only one of its class; -1 for a node without a class.
        negative (Tensor): ``(N,)`` int64, a node of another class; -1 where there is none.
        singletons (Tensor): Scalar int64, nodes that are the only ones of their class.
        without_negative (Tensor): Scalar int64, nodes that have a class and no negative: all of
            them or none, as they are of a single class.
    """

    positive: Tensor
    negative: Tensor
    singletons: Tensor
    without_negative: Tensor


@torch.no_grad()
def class_graph(
    label: Tensor, visiting_key: Tensor, choice: Tensor, ignore_index: int = 255
) -> ClassGraph:
    """Class-wise connected graph of mix-and-match tuning (section Match; released code).

    The nodes are visited in a random order. Each links to a random node of its class and to a
    random one of another class among those visited before; where no node of the kind was visited
    before, to a random one of all. So the positive links connect each class.

    Args:
        label (Tensor): ``(N,)`` int64. Nodes of ``ignore_index`` have no class and no part.
        visiting_key (Tensor): ``(N,)``; nodes are visited by rising key, equal keys by index.
            Random numbers, or the position of each node in a given order, ``order.argsort()``.
        choice (Tensor): ``(N, 2)`` random numbers in [0, 1): of the positive and the negative.
            Candidates are counted by index.
        ignore_index (int): Defaults to 255.

    Returns:
        ClassGraph: Of ``N`` nodes.

    Example:
        >>> label, key = torch.tensor([0, 0, 1, 2, 2]), torch.arange(5)
        >>> graph = class_graph(label, key, torch.zeros(5, 2))
        >>> graph.positive.tolist(), graph.negative.tolist()
        ([1, 0, 2, 4, 3], [2, 2, 0, 0, 0])
    """
    node = torch.arange(len(label), device=label.device)
    known = label != ignore_index
    same = label.unsqueeze(1) == label
    other = ~same & known.unsqueeze(1) & known
    same = same & known & (node.unsqueeze(1) != node)
    key = visiting_key.unsqueeze(1)
    earlier = (visiting_key < key) | ((visiting_key == key) & (node < node.unsqueeze(1)))
    alone, opposed = known & ~same.any(1), other.any(1)
    return ClassGraph(
        torch.where(alone, node, _linked(same, earlier, choice[:, 0])),
        _linked(other, earlier, choice[:, 1]),
        alone.sum(),
        (known & ~opposed).sum(),
    )


def graph_triplets(feature: Tensor, graph: ClassGraph) -> Tuple[Tensor, Tensor, Tensor]:
    """Anchors, positives and negatives of the triplets of a graph.

    Args:
        feature (Tensor): ``(N, D)``, any float dtype. Receives the gradients of all rows.
        graph (ClassGraph): Of ``N`` nodes.

    Returns:
        tuple[Tensor, Tensor, Tensor]: ``(N, D)`` each. A missing positive or negative is a row of
        zeros without gradient (released code).
    """
    positive, negative = (
        feature.index_select(0, index.clamp(min=0)).masked_fill((index < 0).unsqueeze(1), 0)
        for index in (graph.positive, graph.negative)
    )
    return feature, positive, negative


def triplet_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 2.1,
    valid: Optional[Tensor] = None,
) -> Tuple[Tensor, Tensor, Tensor]:
    """Triplet loss with squared distances: ``1/(2N) sum max(0, margin + d_p - d_n)``.

    ``d_p = |a - p|^2`` and ``d_n = |a - n|^2`` (mix-and-match tuning, released code). Unit vectors
    without negative values have distances in [0, 2], so that with a margin above 2 no triplet is
    ever satisfied: the loss is linear in ``d_p - d_n``.

    Args:
        anchor (Tensor): ``(N, D)``.
        positive (Tensor): ``(N, D)``.
        negative (Tensor): ``(N, D)``.
        margin (float): Defaults to 2.1 (released code).
        valid (Tensor, optional): ``(N,)`` bool, triplets that count, in ``N`` too. Defaults to
            None: all.

    Returns:
        tuple[Tensor, Tensor, Tensor]: The loss, and the means of ``d_p`` and ``d_n`` without
        gradient; scalars, float32 (float64 for double input). All are 0 and the loss keeps its
        graph if no triplet counts.

    Example:
        >>> a, p, n = torch.eye(3).unsqueeze(1)
        >>> [value.item() for value in triplet_loss(a, p, n, margin=0.5)]
        [0.25, 2.0, 2.0]
    """
    with torch.autocast(anchor.device.type, enabled=False):
        anchor, positive, negative = (full_precision(row) for row in (anchor, positive, negative))
        to_positive = (anchor - positive).square().sum(1)
        to_negative = (anchor - negative).square().sum(1)
        terms = torch.stack([(margin + to_positive - to_negative).relu(), to_positive, to_negative])
        if valid is None:
            hinge, near, far = terms.mean(1)
        else:
            hinge, near, far = (terms * valid).sum(1) / valid.sum().clamp(min=1)
        return hinge / 2, near.detach(), far.detach()


def _linked(candidates: Tensor, earlier: Tensor, uniform: Tensor) -> Tensor:
    """A random candidate of each row, ``(N, N)`` bool: an earlier one where there is one."""
    before = candidates & earlier
    allowed = torch.where(before.any(1, keepdim=True), before, candidates)
    index = random_index(allowed, uniform.unsqueeze(1)).squeeze(1)
    return torch.where(allowed.any(1), index, -1)
