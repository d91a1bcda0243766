# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

import torch
from torch import Tensor

from ...functional import pixel_noise, pseudo_label
from ...nn import settings
from ...nn.consistency import ConfidenceSelection
from ...nn.pseudo_label import IGNORE_INDEX, PseudoLabel
from ...nn.ranks import mean_over_ranks
from ...nn.unused_settings import refuse_unused
from .functional import equalized_consistency, equalized_sample

SAMPLES = ('label', 'student', None)


class EqualizedConsistency(ConfidenceSelection):
    """Consistency of AEL: pixels sampled by class, weighted by the teacher's confidence.

    Args:
        num_classes (int): ``K``.
        gamma (float): Power of the confidence in the weight. Defaults to 2 (released code).
        beta (float): Power of the sampling rate. Defaults to 1 (released code).
        sample_by (str, optional): Class by which a pixel is sampled: ``'label'``, the
            pseudo-label (paper), ``'student'``, the student's prediction (released code), or
            None: every pixel is kept. Defaults to 'label'.
        confidence_threshold (float): Pixels below it are ignored. Defaults to 0.7 (released code
            on VOC; 0 on Cityscapes, with which and our class confidence short runs end in one
            class).
        class_thresholds (dict, optional): See :class:`ConfidenceSelection`. Defaults to None.

    Raises:
        ValueError: If a power is negative, ``sample_by`` unknown, or ``beta`` without effect.
    """

    def __init__(
        self,
        num_classes: int,
        gamma: float = 2.0,
        beta: float = 1.0,
        sample_by: Optional[str] = 'label',
        confidence_threshold: float = 0.7,
        class_thresholds: Optional[dict] = None,
    ) -> None:
        super().__init__(num_classes, confidence_threshold, class_thresholds)
        settings.check_numbers('model.consistency', dict(gamma=gamma, beta=beta), 0)
        settings.check_choice('model.consistency.sample_by', sample_by, SAMPLES)
        if sample_by is None:
            cause = 'sample_by=None keeps every pixel'
            refuse_unused('model.consistency', dict(beta=beta), EqualizedConsistency, cause)
        self.gamma, self.beta, self.sample_by = gamma, beta, sample_by

    def forward(
        self,
        logits: Tensor,
        pseudo: PseudoLabel,
        key: Tensor,
        class_confidence: Tensor,
        align_corners: bool = False,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Loss of one batch.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the student; up-sampled to the pseudo-label.
            pseudo (PseudoLabel): Of the teacher; pixels of confidence 0 are left out, of the sum
                of the weights too.
            key (Tensor): ``(B,)`` uniform in [0, 1), seed of the sampling noise of each image.
            class_confidence (Tensor): ``(K,)``.
            align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Loss, the mean over all ranks' pixels after DDP's mean;
            ratio of pixels that were kept, and of those that are confident, sampled or not. Both
            ratios are over all ranks.
        """
        keep = pseudo.confidence > 0
        if self.sample_by is not None:
            if self.sample_by == 'label':
                classes = pseudo.class_index
            else:
                classes, _ = pseudo_label(logits, pseudo.label.shape[1:], align_corners)
            noise = pixel_noise(key, *classes.shape[1:])
            keep = keep & equalized_sample(classes, class_confidence, noise, self.beta)
        confident = self.confident(pseudo)
        loss = equalized_consistency(
            logits,
            pseudo.label.masked_fill(~confident, IGNORE_INDEX),
            pseudo.confidence,
            keep,
            self.gamma,
            IGNORE_INDEX,
            mean_over_ranks,
            align_corners,
        )
        selections = torch.stack([confident & keep, confident])
        kept_ratio, confident_ratio = mean_over_ranks(selections.float().mean((1, 2, 3)))
        return loss, kept_ratio, confident_ratio
