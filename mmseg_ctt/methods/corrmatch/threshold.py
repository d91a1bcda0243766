# Copyright (c) mmseg_ctt contributors.
from typing import Union

import torch
from torch import Tensor

from ...functional import consistency_sums
from ...nn import settings
from ...nn.consistency import Consistency
from ...nn.pseudo_label import IGNORE_INDEX, PseudoLabel
from ...nn.ranks import max_over_ranks
from .functional import class_maxima, threshold_update


class DynamicThreshold(Consistency):
    """Cross-entropy to pseudo-labels above a threshold that follows the student's confidence.

    The threshold is the moving average of the mean, over the classes that are predicted in a
    batch, of the highest confidence of each (CorrMatch released code, ``ThreshController``).

    Buffers: ``threshold`` float32, scalar, equal on every rank.

    Args:
        num_classes (int): ``K``.
        confidence_threshold (float): Threshold at the beginning, in [0, 1]. Defaults to 0.85
            (CorrMatch on VOC).
        momentum (float): Weight of the threshold before, in [0, 1]; 1: it stays as it is.
            Defaults to 0.999 (CorrMatch).
        normalizer (str): See :class:`Consistency`. Defaults to 'valid'.

    Raises:
        ValueError: If a number lies outside its bounds, or the normaliser is unknown.
    """

    threshold: Tensor
    reads_logits = True  # the divergence compares probabilities

    def __init__(
        self,
        num_classes: int,
        confidence_threshold: float = 0.85,
        momentum: float = 0.999,
        normalizer: str = 'valid',
    ) -> None:
        super().__init__(
            num_classes, normalizer=normalizer, confidence_threshold=confidence_threshold
        )
        settings.check_number('model.consistency.momentum', momentum, 0, 1)
        self.momentum = momentum
        self.register_buffer('threshold', torch.tensor(float(confidence_threshold)))

    def threshold_of(self, label: Tensor) -> Union[float, Tensor]:
        """One threshold for all pixels, a scalar."""
        return self.threshold

    @torch.no_grad()
    def update(self, label: Tensor, confidence: Tensor) -> None:
        """Let the threshold follow the pseudo-labels of a batch, those of all ranks.

        Args:
            label (Tensor): Any shape, int64; labels outside ``[0, K)`` do not count.
            confidence (Tensor): Same shape, in [0, 1].
        """
        maxima = max_over_ranks(class_maxima(confidence, label, self.num_classes))
        self.threshold.copy_(threshold_update(self.threshold, maxima, self.momentum))

    def divergence(
        self, logits: Tensor, pseudo: PseudoLabel, align_corners: bool = False
    ) -> Tensor:
        """Kullback-Leibler divergence of a prediction from the confident pixels of another.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the student. Receives the gradient.
            pseudo (PseudoLabel): With logits.
            align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

        Returns:
            Tensor: Scalar, normalised as the cross-entropy is.
        """
        assert pseudo.logits is not None
        kept = pseudo.mask_padding(self.confident(pseudo))
        sums = consistency_sums(
            logits,
            pseudo.logits.softmax(1),
            'kl',
            kept,
            ignore_index=IGNORE_INDEX,
            align_corners=align_corners,
        )
        return sums.sum() / self._count(pseudo, kept)
