# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

import torch.nn as nn
from torch import Tensor

from ...functional import pixel_noise
from ...nn.ranks import mean_over_ranks
from .functional import equalized_consistency, equalized_sample

SAMPLES = ('label', 'student', None)


class EqualizedLoss(nn.Module):
    """Consistency of AEL: pixels sampled by class, weighted by the teacher's confidence.

    Args:
        confident (float): Pixels below this confidence are ignored. Defaults to 0.
        gamma (float): Power of the confidence in the weight. Defaults to 2 (released code).
        beta (float): Power of the sampling rate. Defaults to 1 (released code).
        sample_by (str, optional): Whose class a pixel is sampled by: ``'label'``, the
            pseudo-label (paper), ``'student'``, what the student predicts (released code), or
            None: every pixel is kept. Defaults to 'label'.
        ignore_index (int): Defaults to 255.

    Raises:
        ValueError: If a power is negative or ``sample_by`` unknown.
    """

    def __init__(
        self,
        confident: float = 0.0,
        gamma: float = 2.0,
        beta: float = 1.0,
        sample_by: Optional[str] = 'label',
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if min(gamma, beta) < 0:
            raise ValueError(
                f'model.consistency: gamma and beta must not be negative, got {gamma} and {beta}'
            )
        if sample_by not in SAMPLES:
            raise ValueError(
                f'model.consistency.sample_by must be one of {SAMPLES}, got {sample_by!r}'
            )
        self.confident, self.gamma, self.beta = confident, gamma, beta
        self.sample_by, self.ignore_index = sample_by, ignore_index

    def forward(
        self, logits: Tensor, target: Tuple[Tensor, Tensor], key: Tensor, class_confidence: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Loss of one batch.

        Args:
            logits (Tensor): ``(B, K, H, W)`` of the student.
            target (tuple[Tensor, Tensor]): Label and confidence ``(B, H, W)`` of the teacher;
                pixels of confidence 0 are left out, of the sum of the weights too.
            key (Tensor): ``(B,)`` uniform in [0, 1), a number of each image.
            class_confidence (Tensor): ``(K,)``.

        Returns:
            tuple[Tensor, Tensor]: Loss, the mean over all ranks' pixels after DDP's mean, and the
            share of pixels that were kept on this rank.
        """
        label, confidence = target
        keep = confidence > 0
        if self.sample_by is not None:
            by = label if self.sample_by == 'label' else logits.detach().argmax(dim=1)
            noise = pixel_noise(key, *label.shape[1:])
            keep = keep & equalized_sample(by, class_confidence, noise, self.beta)
        known = confidence >= self.confident
        loss = equalized_consistency(
            logits,
            label.masked_fill(~known, self.ignore_index),
            confidence,
            keep,
            self.gamma,
            self.ignore_index,
            mean_over_ranks,
        )
        return loss, (known & keep).float().mean()
