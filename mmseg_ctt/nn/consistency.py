# Copyright (c) mmseg_ctt contributors.
"""Losses that pull a network to the pseudo-labels of another."""

from typing import Any, Dict, Mapping, Optional, Tuple, Union

import torch
import torch.nn as nn
from mmengine.dist import get_world_size
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import consistency_sums
from . import settings
from .class_thresholds import ClassThresholds
from .pseudo_label import IGNORE_INDEX, PseudoLabel
from .ranks import mean_over_ranks, sum_over_ranks

TARGETS = ('hard', 'soft', 'kl', 'middle_kl', 'squared')
SELECTIONS = ('pixel', 'ratio', 'image_ratio')
OF_SQUARED = 'class_mean'  # setting of that target alone
NORMALIZERS = ('valid', 'kept', 'all')


class ConfidenceSelection(nn.Module):
    """Which pixels of a pseudo-label are confident: by a threshold, or one for each class.

    Args:
        num_classes (int): ``K``.
        confidence_threshold (float): Lowest confidence of a confident pixel, in [0, 1].
        class_thresholds (dict, optional): Settings of :class:`ClassThresholds`: the threshold of a
            class is the mean confidence of its pixels, at most ``confidence_threshold``. Defaults
            to None: one threshold for all.

    Raises:
        ValueError: If the threshold lies outside [0, 1], or is 0 with thresholds of classes.
    """

    sections = dict(forward='losses', update='pseudo-labels')  # for benchmarks
    renamed = dict(confident='confidence_threshold')  # former settings

    def __init__(
        self,
        num_classes: int,
        confidence_threshold: float = 0.95,
        class_thresholds: Optional[dict] = None,
    ) -> None:
        super().__init__()
        key = 'model.consistency.confidence_threshold'
        settings.check_number(key, confidence_threshold, 0, 1)
        self.num_classes, self.confidence_threshold = num_classes, confidence_threshold
        self.class_thresholds: Optional[ClassThresholds] = None
        if class_thresholds is not None:
            if not confidence_threshold:
                raise ValueError(
                    'model.consistency.class_thresholds: confidence_threshold is the highest of '
                    'them, so with 0 all are 0; set a confidence_threshold, such as 0.95'
                )
            self.class_thresholds = settings.build_part(
                'consistency.class_thresholds',
                class_thresholds,
                ClassThresholds,
                num_classes=num_classes,
                highest=confidence_threshold,
            )

    def update(self, label: Tensor, confidence: Tensor) -> None:
        """Let the thresholds of the classes learn from pseudo-labels; without them do nothing.

        Args:
            label (Tensor): int64 of any shape; labels outside ``[0, K)`` do not count.
            confidence (Tensor): float32 of the same shape.
        """
        if self.class_thresholds is not None:
            self.class_thresholds.update(label, confidence)

    def threshold_of(self, label: Tensor) -> Union[float, Tensor]:
        """Threshold for all pixels, or float32 of the shape of ``label``."""
        if self.class_thresholds is None:
            return self.confidence_threshold
        return self.class_thresholds.of(label)

    def confident(self, pseudo: PseudoLabel) -> Tensor:
        """``(B, H, W)`` bool, pixels at or above their threshold."""
        return pseudo.confidence >= self.threshold_of(pseudo.label)


@MODELS.register_module()
class Consistency(ConfidenceSelection):
    """Distance of a student's prediction to a pseudo-label.

    Args:
        num_classes (int): ``K``.
        target (str): ``'hard'``: cross-entropy to the label; ``'soft'``: cross-entropy to the
            probabilities; ``'kl'``: the same less their entropy, which has no gradient;
            ``'middle_kl'``: see :func:`pixel_consistency`; ``'squared'``: squared difference of the
            probabilities. Defaults to 'hard'.
        select (str): ``'pixel'``: only confident pixels count; ``'ratio'``: all pixels count,
            times the ratio of confident ones (CTT Eq 5, ClassMix, CutMix-Seg; over all ranks);
            ``'image_ratio'``: times the ratio of confident ones of their image, padding left out
            (ReCo). Ratios are those of pseudo-labels: true labels that are mixed in are no part
            of them, and count in full. Defaults to 'pixel'.
        normalizer (str): The loss is a sum over pixels, divided by the number of ``'valid'``
            pixels (not padding), of ``'kept'`` ones, or of ``'all'``. Defaults to 'valid'.
        class_mean (bool): Whether the squared difference is the mean over classes (mean teacher)
            or their sum (CutMix-Seg). Defaults to True.
        confidence_threshold (float): See :class:`ConfidenceSelection`. Defaults to 0.95
            (FixMatch).
        class_thresholds (dict, optional): See there. Defaults to None.
        weighted (bool): Whether a pixel counts as much as its confidence (PS-MT); the normalizer
            counts it as 1. Defaults to False.

    Raises:
        ValueError: For an unknown ``target``, ``select`` or ``normalizer``, or one that another
            setting leaves without effect.
    """

    def __init__(
        self,
        num_classes: int,
        target: str = 'hard',
        select: str = 'pixel',
        normalizer: str = 'valid',
        class_mean: bool = True,
        confidence_threshold: float = 0.95,
        class_thresholds: Optional[dict] = None,
        weighted: bool = False,
    ) -> None:
        super().__init__(num_classes, confidence_threshold, class_thresholds)
        settings.check_choice('model.consistency.target', target, TARGETS)
        settings.check_choice('model.consistency.select', select, SELECTIONS)
        settings.check_choice('model.consistency.normalizer', normalizer, NORMALIZERS)
        _check_together(target, select, normalizer, class_mean)
        self.target, self.select, self.normalizer = target, select, normalizer
        settings.check_choice('model.consistency.weighted', weighted, (True, False))
        self.class_mean, self.weighted = class_mean, weighted

    @property
    def reads_logits(self) -> bool:
        """Whether the target needs the logits of the pseudo-label."""
        return self.target != 'hard'

    def forward(
        self,
        logits: Tensor,
        pseudo: PseudoLabel,
        align_corners: bool = False,
        image_weight: Optional[Tensor] = None,
    ) -> Tuple[Tensor, Tensor]:
        """The loss of a batch.

        Args:
            logits (Tensor): ``([P,] B, K, h, w)`` of students; up-sampled to the pseudo-label. A
                leading dimension ``P``, or several, hold independent losses, one a student.
            pseudo (PseudoLabel): ``([P,] B, H, W)`` maps.
            align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
            image_weight (Tensor, optional): ``([P,] B)``, constant, by which the loss of each image
                is multiplied. Defaults to None: 1.

        Returns:
            tuple[Tensor, Tensor]: Loss and ratio of confident pixels, over all ranks; scalars, or
            ``(P,)``. The ratio is among all pixels but those of ground truth; padding is among
            them.
        """
        confident = self.confident(pseudo)
        kept = pseudo.mask_padding(confident) if self.select == 'pixel' else None
        confident = pseudo.of_network(confident)
        ratio = _ratio(pseudo, confident)
        pixel_factor, image_factor, batch_factor = self._factors(pseudo, confident, ratio)
        loss = self._sums(logits, pseudo, kept, align_corners, pixel_factor)
        if image_factor is not None:
            loss = loss * image_factor
        if image_weight is not None:
            loss = loss * image_weight.detach()
        loss = loss.sum(-1)
        if batch_factor is not None:
            loss = batch_factor * loss
        return loss / self._count(pseudo, kept), ratio

    def _factors(
        self, pseudo: PseudoLabel, confident: Tensor, ratio: Tensor
    ) -> Tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor]]:
        """Ratio that ``select`` multiplies the loss by: of pixels, of images, of the batch.

        At most one of them is not None. That of pixels ``([P,] B, H, W)`` is taken where ground
        truth is mixed in, whose pixels count in full.
        """
        if self.select == 'pixel':
            return None, None, None
        by_image = self.select == 'image_ratio'
        factor = _image_ratio(pseudo, confident) if by_image else ratio
        if pseudo.true is None:
            return (None, factor, None) if by_image else (None, None, factor)
        factor = factor if by_image else factor.unsqueeze(-1)
        return torch.where(pseudo.true, 1, factor[..., None, None]), None, None

    def _sums(
        self,
        logits: Tensor,
        pseudo: PseudoLabel,
        kept: Optional[Tensor],
        align_corners: bool,
        factor: Optional[Tensor],
    ) -> Tensor:
        """Loss summed over the pixels of each image, ``([P,] B)``, each times its factor."""
        hard = self.target == 'hard'
        target = pseudo.label if hard else pseudo.logits
        assert target is not None
        if not hard and pseudo.valid is not None:
            kept = pseudo.valid if kept is None else kept & pseudo.valid
        target = target if hard else target.softmax(dim=-3)
        weight = kept
        if self.weighted:
            weight = pseudo.confidence if kept is None else pseudo.confidence * kept
        if factor is not None:
            weight = factor if weight is None else factor * weight
        reduction = None if self.target != 'squared' else 'mean' if self.class_mean else 'sum'
        return consistency_sums(
            logits, target, self.target, weight, reduction, IGNORE_INDEX, align_corners
        )

    def _count(self, pseudo: PseudoLabel, kept: Optional[Tensor]) -> Union[int, Tensor]:
        """Number of pixels that the sum is divided by."""
        if self.normalizer == 'all':
            return pseudo.label.shape[-3:].numel()
        by_kept = self.normalizer == 'kept' and kept is not None
        return mean_pixel_count(pseudo, kept if by_kept else pseudo.valid)


def mean_pixel_count(pseudo: PseudoLabel, counted: Optional[Tensor]) -> Union[int, Tensor]:
    """Number of pixels that count, averaged over the ranks, at least 1.

    Args:
        pseudo (PseudoLabel): ``([P,] B, H, W)`` maps.
        counted (Tensor, optional): bool of that shape; None: all. Ranks with None and with a map
            may meet.

    Returns:
        int | Tensor: Scalar or ``(P,)``; an int where one process counts all.
    """
    pixels = pseudo.label.shape[-3:].numel()
    if counted is None and get_world_size() == 1:
        return pixels
    if counted is None:  # another rank may have padding, and waits for this one
        number = pseudo.confidence.new_full(pseudo.label.shape[:-3], pixels)
    else:
        number = counted.sum((-3, -2, -1)).float()
    return mean_over_ranks(number).clamp(min=1)


def _ratio(pseudo: PseudoLabel, confident: Tensor) -> Tensor:
    """Ratio of confident pixels over all ranks ``([P,])``, float32.

    Padding is among the pixels, ground truth is not.
    """
    if pseudo.true is None:
        return mean_over_ranks(confident.mean((-3, -2, -1), dtype=torch.float32))
    counts = torch.stack([confident, ~pseudo.true]).float().sum((-3, -2, -1))
    part, whole = sum_over_ranks(counts)
    return part / whole.clamp(min=1)


def _image_ratio(pseudo: PseudoLabel, confident: Tensor) -> Tensor:
    """Ratio of confident pixels of each image ``([P,] B)``, without padding and ground truth."""
    confident = pseudo.mask_padding(confident)
    valid = torch.ones_like(confident) if pseudo.valid is None else pseudo.valid
    valid = pseudo.of_network(valid)
    return confident.float().sum((-2, -1)) / valid.float().sum((-2, -1)).clamp(min=1)


def _check_together(target: str, select: str, normalizer: str, class_mean: bool) -> None:
    """Refuse settings that another one leaves without effect."""
    if select != 'pixel' and normalizer == 'kept':
        raise ValueError(
            f"model.consistency.select='{select}' keeps all pixels, so that normalizer='kept' "
            "would be 'valid': set that one"
        )
    if target != 'squared' and not class_mean:
        raise ValueError(
            f"model.consistency.class_mean is of target='squared', not of {target!r}: remove it"
        )


def usual_settings(defaults: Mapping[str, Any], given: Any) -> Dict[str, Any]:
    """Defaults of a method, without that of a target which the config replaces.

    Args:
        defaults (Mapping): Of ``model.consistency``.
        given (Mapping, optional): Settings of the config.
    """
    other = isinstance(given, Mapping) and given.get('target', 'squared') != 'squared'
    return {key: value for key, value in defaults.items() if not (other and key == OF_SQUARED)}
