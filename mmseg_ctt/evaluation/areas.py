# Copyright (c) mmseg_ctt contributors.
"""Pixel counts of mmseg's IoU in one pass over the pixels."""

from typing import Tuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric
from torch import Tensor


def count_at_once(metric: BaseMetric) -> None:
    """Let an ``IoUMetric`` count by :func:`class_areas`, unless a subclass has its own counting."""
    if getattr(type(metric), 'intersect_and_union', None) is IoUMetric.intersect_and_union:
        metric.intersect_and_union = class_areas


def class_areas(
    pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Intersection and union per class, a faster form of ``IoUMetric.intersect_and_union``.

    The method of mmseg selects pixels by three masks and counts three times.

    Args:
        pred_label (Tensor): ``(H, W)``, integer ids.
        label (Tensor): ``(H, W)``, integer ids; ids outside ``[0, K)`` belong to no class.
        num_classes (int): Number of classes ``K``.
        ignore_index (int): Label of ignored pixels.

    Returns:
        tuple[Tensor, Tensor, Tensor, Tensor]: Pixels of intersection, union, prediction and label,
        ``(K,)`` float32 each, on the CPU.
    """
    width = num_classes + 2  # below the classes, the classes, above them
    row = label.long().clamp(-1, num_classes).int()
    row.masked_fill_(label == ignore_index, num_classes + 1)
    column = pred_label.long().clamp(-1, num_classes).int()
    cell = torch.add(column, row, alpha=width).add_(width + 1)
    count = torch.bincount(cell.flatten(), minlength=(width + 1) * width)
    # NumPy is faster than torch for these few numbers
    counts = count.cpu().numpy().reshape(width + 1, width)[:-1]
    areas = np.empty((4, width), np.float32)
    areas[0], areas[2], areas[3] = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    areas[1] = areas[2] + areas[3] - areas[0]
    intersection, union, predicted, labelled = torch.from_numpy(areas[:, 1:-1])
    return intersection, union, predicted, labelled
