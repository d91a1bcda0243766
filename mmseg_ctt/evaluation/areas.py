# Copyright (c) mmseg_ctt contributors.
"""Pixel counts of mmseg's IoU in one pass over the pixels."""

from typing import Optional, Tuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric
from torch import Tensor

KINDS = (torch.uint8, torch.int16, torch.int32, torch.int64)
Areas = Tuple[Tensor, Tensor, Tensor, Tensor]


def count_at_once(metric: BaseMetric, counter: Optional['AreaCounter'] = None) -> None:
    """Let an ``IoUMetric`` count by an :class:`AreaCounter`, unless a subclass counts by itself.

    Args:
        metric (BaseMetric): Of any kind; others than ``IoUMetric`` are left alone.
        counter (AreaCounter, optional): Several metrics of the same labels may share one. Defaults
            to None: one of its own.
    """
    if getattr(type(metric), 'intersect_and_union', None) is IoUMetric.intersect_and_union:
        metric.intersect_and_union = counter or AreaCounter()


def class_areas(pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int) -> Areas:
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
    return AreaCounter()(pred_label, label, num_classes, ignore_index)


class AreaCounter:
    """:func:`class_areas` that prepares a label once for all predictions that follow each other."""

    def __init__(self) -> None:
        self._label: Optional[Tensor] = None
        self._key: tuple = ()
        self._rows: Optional[Tensor] = None

    def __call__(
        self, pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> Areas:
        """See :func:`class_areas`."""
        width = num_classes + 2  # below the classes, the classes, above them
        rows = self._rows_of(label, num_classes, ignore_index)
        cell = pred_label.long().clamp(-1, num_classes).to(rows.dtype).add_(rows)
        count = torch.bincount(cell.flatten(), minlength=(width + 1) * width)
        # NumPy is faster than torch for these few numbers
        counts = count.cpu().numpy().reshape(width + 1, width)[:-1]
        areas = np.empty((4, width), np.float32)
        areas[0], areas[2], areas[3] = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
        areas[1] = areas[2] + areas[3] - areas[0]
        intersection, union, predicted, labelled = torch.from_numpy(areas[:, 1:-1])
        return intersection, union, predicted, labelled

    def _rows_of(self, label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        """First cell of each pixel's row in the table of label and prediction, plus 1.

        The row behind all others is that of ignored pixels. The smallest integers that hold the
        cells take the least time. A label is known again by its memory, which it keeps while it
        is held here, and by the number of changes in place.
        """
        version = -1 if label.is_inference() else label._version
        memory = (label.data_ptr(), label.shape, label.stride(), label.dtype, version)
        key = (*memory, num_classes, ignore_index)
        if key != self._key or self._rows is None or version < 0:
            width = num_classes + 2
            row = (
                label.long()
                .clamp(-1, num_classes)
                .masked_fill_(label == ignore_index, num_classes + 1)
            )
            last = (width + 1) * width - 1
            kind = next(kind for kind in KINDS if last <= torch.iinfo(kind).max)
            self._rows = row.mul_(width).add_(width + 1).to(kind)
            self._label, self._key = label, key
        return self._rows
