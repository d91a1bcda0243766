# Copyright (c) mmseg_ctt contributors.
"""Patch sampling, class-wise connected graph and triplet loss, node by node and pixel by pixel."""

from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

Choose = Callable[[int, int, Sequence[int]], int]  # node, 0 positive or 1 negative, candidates


def class_graph(label: np.ndarray, order: Sequence[int], choose: Choose) -> np.ndarray:
    """``(N, 2)`` positive and negative of each node.

    ``choose`` is called in the order of the released code: while visiting, then for the missing
    links by number of the node. Its candidates are in the order in which they were visited.
    """
    links = np.full((len(label), 2), -1)
    visited: List[int] = []

    def candidates(node: int) -> Tuple[List[int], List[int]]:
        same = [i for i in visited if label[i] == label[node] and i != node]
        return same, [i for i in visited if label[i] != label[node]]

    for node in order:
        for kind, found in enumerate(candidates(node)):
            if found:
                links[node, kind] = choose(node, kind, found)
        visited.append(node)
    for node in range(len(label)):
        for kind, found in enumerate(candidates(node)):
            if links[node, kind] < 0 and found:
                links[node, kind] = choose(node, kind, found)
            elif links[node, kind] < 0 and kind == 0:
                links[node, kind] = node
    return links


def by_uniform(choice: np.ndarray) -> Choose:
    """A choice by numbers ``(N, 2)`` in [0, 1), candidates counted by their number."""

    def choose(node: int, kind: int, candidates: Sequence[int]) -> int:
        return sorted(candidates)[int(choice[node, kind] * len(candidates))]

    return choose


def triplet_loss(
    feature: np.ndarray, links: np.ndarray, margin: float
) -> Tuple[float, np.ndarray, np.ndarray]:
    """Loss, value of each triplet, and gradient to the nodes; a missing negative is zero."""
    total, hinges, gradient = 0.0, [], np.zeros(feature.shape)
    for node, (p, n) in enumerate(links):
        anchor, positive = feature[node], feature[p]
        negative = np.zeros_like(anchor) if n < 0 else feature[n]
        hinge = margin + ((anchor - positive) ** 2).sum() - ((anchor - negative) ** 2).sum()
        hinges.append(max(hinge, 0))
        if hinge <= 0:
            continue
        total += hinge
        gradient[node] += (negative - positive) / len(links)
        gradient[p] += (positive - anchor) / len(links)
        if n >= 0:
            gradient[n] += (anchor - negative) / len(links)
    return total / (2 * len(links)), np.array(hinges), gradient


def sample_patches(
    label: np.ndarray,
    noise: np.ndarray,
    number: int,
    sizes: Tuple[int, int],
    background: Optional[int] = 0,
    by_overlap: bool = False,
    released_classes: bool = False,
) -> Tuple[List[List[int]], List[int]]:
    """Boxes (left, top, right, bottom) and classes of one image ``(H, W)``."""
    behind = 0 if background is None else max(1, int(0.1 * number))
    drawn = noise.reshape(-1, 2)
    known = label != 255
    objects = known if background is None else known & (label != background)
    parts = [(objects, number - behind, drawn[: 5 * (number - behind)])]
    if behind:
        parts.append((label == background, behind, drawn[5 * (number - behind) :]))
    boxes: List[List[int]] = []
    classes: List[int] = []
    for part, (mask, wanted, numbers) in enumerate(parts):
        mask = mask if mask.any() else known if known.any() else np.ones_like(known)
        found, kinds = _seeds(label, mask, numbers, sizes)
        if part == 1 and released_classes:
            kinds = [background] * len(kinds)
        order = list(range(len(found)))
        if by_overlap:
            ratios = [_overlap(label, box, kind) for box, kind in zip(found, kinds)]
            order.sort(key=lambda i: -ratios[i])
        if part == 0:
            kept = _kept(label.shape, found, order)
            order = kept + [i for i in order if i not in kept]
        boxes += [found[i] for i in order[:wanted]]
        classes += [kinds[i] for i in order[:wanted]]
    return boxes, classes


def _seeds(
    label: np.ndarray, mask: np.ndarray, numbers: np.ndarray, sizes: Tuple[int, int]
) -> Tuple[List[List[int]], List[int]]:
    rows, columns = np.nonzero(mask)
    found, kinds = [], []
    for position, size in numbers:
        pixel = int(position * len(rows))
        half = int(sizes[0] + size * (sizes[1] - sizes[0] + 1)) // 2
        y, x = int(rows[pixel]), int(columns[pixel])
        found.append([x - half, y - half, x + half, y + half])
        kinds.append(int(label[y, x]))
    return found, kinds


def _inside(shape: Tuple[int, int], box: List[int]) -> Tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(max(0, top), min(bottom, shape[0])), slice(max(0, left), min(right, shape[1]))


def _overlap(label: np.ndarray, box: List[int], kind: int) -> float:
    return (label[_inside(label.shape, box)] == kind).sum() / (box[2] - box[0]) ** 2


def _kept(shape: Tuple[int, int], boxes: List[List[int]], order: List[int]) -> List[int]:
    covered, kept = np.zeros(shape), []
    first_area = (boxes[0][2] - boxes[0][0]) ** 2
    for i in order:
        part = _inside(shape, boxes[i])
        if covered[part].sum() / first_area <= 0.6:
            covered[part] = 1
            kept.append(i)
    return kept


def crop(image: np.ndarray, box: List[int], size: int) -> np.ndarray:
    """``(C, size, size)``: the box of an image ``(C, H, W)``, with zeros outside, then resized."""
    left, top, right, bottom = box
    side = right - left
    patch = np.zeros((image.shape[0], side, side))
    for y in range(max(0, top), min(bottom, image.shape[1])):
        for x in range(max(0, left), min(right, image.shape[2])):
            patch[:, y - top, x - left] = image[:, y, x]
    out = np.zeros((image.shape[0], size, size))
    centres = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    for i, y in enumerate(centres):
        for j, x in enumerate(centres):
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, side - 1), min(x0 + 1, side - 1)
            above = patch[:, y0, x0] * (1 - (x - x0)) + patch[:, y0, x1] * (x - x0)
            below = patch[:, y1, x0] * (1 - (x - x0)) + patch[:, y1, x1] * (x - x0)
            out[:, i, j] = above * (1 - (y - y0)) + below * (y - y0)
    return out


def retrieval(
    feature: np.ndarray, label: np.ndarray, group: Optional[np.ndarray] = None
) -> Tuple[float, int]:
    """Accuracy of the nearest neighbour in another group, and the number of queries."""
    group = np.arange(len(label)) if group is None else group
    hits = []
    for i in range(len(label)):
        others = [j for j in range(len(label)) if group[j] != group[i] and label[j] != 255]
        if label[i] == 255 or not any(label[j] == label[i] for j in others):
            continue
        nearest = min(others, key=lambda j: ((feature[i] - feature[j]) ** 2).sum())
        hits.append(label[nearest] == label[i])
    return (float(np.mean(hits)) if hits else 0.0), len(hits)
