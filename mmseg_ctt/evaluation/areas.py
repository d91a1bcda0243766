# Copyright (c) mmseg_ctt contributors.
"""The pixel counts behind mmseg's IoU, from one pass over the pixels."""
from typing import Tuple

import torch
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric
from torch import Tensor


def count_at_once(metric: BaseMetric) -> None:
    """Let an ``IoUMetric`` use :func:`class_areas`, unless it counts in a way of its own."""
    if getattr(type(metric), 'intersect_and_union', None) is IoUMetric.intersect_and_union:
        metric.intersect_and_union = class_areas


def class_areas(pred_label: Tensor, label: Tensor, num_classes: int,
                ignore_index: int) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Same as ``IoUMetric.intersect_and_union``, of which it takes the place.

    That one selects pixels by three masks and counts three times.

    Args:
        pred_label (Tensor): ``(H, W)`` of any type.
        label (Tensor): The same; other values than classes count for no class.
        num_classes (int): ``K``.
        ignore_index (int): Label of pixels that do not count.

    Returns:
        tuple[Tensor, ...]: Pixels of the intersection, the union, the prediction and the label,
        ``(K,)`` float32 each, on the CPU.
    """
    width = num_classes + 2  # below the classes, the classes, above them
    column = pred_label.long().clamp(-1, num_classes)
    row = label.long().clamp(-1, num_classes)
    row = torch.where(label == ignore_index, num_classes + 1, row)
    cell = torch.add(column, row, alpha=width).add_(width + 1).flatten()
    count = torch.bincount(cell, minlength=(width + 1) * width).view(width + 1, width)[:-1]
    hit, predicted, true = count.diagonal(), count.sum(dim=0), count.sum(dim=1)
    areas = torch.stack([hit, predicted + true - hit, predicted, true])[:, 1:-1]
    return tuple(areas.float().cpu())
