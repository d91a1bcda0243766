# Copyright (c) mmseg_ctt contributors.
"""Quality of pseudo-labels: pixel counts of each class, and ratios of them."""

from typing import Dict, NamedTuple, Optional

import torch
from torch import Tensor


class PixelCounts(NamedTuple):
    """Pixels of each class, ``(K,)`` int64 each; counts of several batches are added.

    Attributes:
        labeled (Tensor): Pseudo-labelled as the class.
        confident (Tensor): Of these, confident ones.
        known (Tensor): Pseudo-labelled as the class where the truth is known.
        known_confident (Tensor): Of these, confident ones.
        true (Tensor): Of the class by the truth.
        correct (Tensor): Of the class by both.
        correct_confident (Tensor): Of these, confident ones.
    """

    labeled: Tensor
    confident: Tensor
    known: Tensor
    known_confident: Tensor
    true: Tensor
    correct: Tensor
    correct_confident: Tensor

    def plus(self, other: 'PixelCounts') -> 'PixelCounts':
        """Counts of both."""
        return PixelCounts(*(count + added for count, added in zip(self, other)))


@torch.no_grad()
def pixel_counts(
    label: Tensor,
    confident: Tensor,
    truth: Optional[Tensor],
    num_classes: int,
    ignore_index: int = 255,
) -> PixelCounts:
    """Pixel counts of each class.

    Args:
        label (Tensor): ``(B, H, W)`` int64 pseudo-labels; those outside ``[0, K)`` count nowhere.
        confident (Tensor): ``(B, H, W)`` bool.
        truth (Tensor, optional): ``(B, H, W)`` int64; None: unknown everywhere.
        num_classes (int): ``K``.
        ignore_index (int): True label that is unknown. Defaults to 255.

    Returns:
        PixelCounts: On the device of the labels.
    """
    if truth is None:
        truth = torch.full_like(label, ignore_index)
    known, correct = truth != ignore_index, label == truth

    def count(ids: Tensor, *masks: Tensor) -> Tensor:
        for mask in masks:
            ids = torch.where(mask, ids, num_classes)  # a bin of its own, dropped
        return torch.bincount(ids.flatten(), minlength=num_classes + 1)[:num_classes]

    return PixelCounts(
        labeled=count(label),
        confident=count(label, confident),
        known=count(label, known),
        known_confident=count(label, known, confident),
        true=count(truth, known),
        correct=count(label, known, correct),
        correct_confident=count(label, known, correct, confident),
    )


class PseudoLabelScores(NamedTuple):
    """Ratios in [0, 1]; NaN where the denominator is 0.

    Attributes:
        used (Tensor): Scalar, confident pixels among all.
        acc (Tensor): Scalar, correct pixels among those with known truth.
        acc_used (Tensor): Scalar, the same among confident pixels.
        miou (Tensor): Scalar, mean IoU of the classes that truth or pseudo-labels have.
        class_used (Tensor): ``(K,)``, confident pixels among those labelled as the class.
        class_acc (Tensor): ``(K,)``, correct pixels among those of the class by the truth.
        class_iou (Tensor): ``(K,)``, intersection over union.
    """

    used: Tensor
    acc: Tensor
    acc_used: Tensor
    miou: Tensor
    class_used: Tensor
    class_acc: Tensor
    class_iou: Tensor


def pseudo_label_scores(counts: PixelCounts) -> PseudoLabelScores:
    """Ratios of pixel counts; a division by zero is NaN.

    Args:
        counts (PixelCounts): Of all images.

    Returns:
        PseudoLabelScores: float64.
    """
    labeled, confident, known, known_confident, true, correct, correct_confident = (
        count.double() for count in counts
    )
    iou = correct / (known + true - correct)
    return PseudoLabelScores(
        used=confident.sum() / labeled.sum(),
        acc=correct.sum() / known.sum(),
        acc_used=correct_confident.sum() / known_confident.sum(),
        miou=iou.nanmean(),
        class_used=confident / labeled,
        class_acc=correct / true,
        class_iou=iou,
    )


def named_scores(scores: PseudoLabelScores, classes: tuple) -> Dict[str, float]:
    """Scores as plain numbers by their names in the log; NaN is left out.

    Args:
        scores (PseudoLabelScores): From :func:`pseudo_label_scores`.
        classes (tuple[str, ...]): Names of the ``K`` classes.

    Returns:
        dict[str, float]: ``used``, ``acc``, ``acc_used``, ``mIoU`` and for each class
        ``used_<class>``, ``acc_<class>``, ``IoU_<class>``.
    """
    named = dict(used=scores.used, acc=scores.acc, acc_used=scores.acc_used, mIoU=scores.miou)
    for name, values in (
        ('used', scores.class_used),
        ('acc', scores.class_acc),
        ('IoU', scores.class_iou),
    ):
        named.update({f'{name}_{label}': value for label, value in zip(classes, values)})
    plain = {name: float(value) for name, value in named.items()}
    return {name: value for name, value in plain.items() if value == value}
