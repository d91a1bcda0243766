# Copyright (c) mmseg_ctt contributors.
from typing import Any, Optional

import torch
from torch import Tensor

from ...nn import settings
from ...nn.consistency import ConfidenceSelection, mean_pixel_count
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from .functional import bit_certainty, reliable_bits

OTHER_BITS = ('own', 'none')


class CodeConsistency(ConfidenceSelection):
    """Bits of a pseudo-label: those that its most similar words share, where they are certain.

    A pixel is confident, and counts, if it has such bits.

    Args:
        num_classes (int): ``K``.
        confidence_threshold (float): Mean certainty ``max(p, 1 - p)`` from which shared bits count.
            Defaults to 0.95 (released code).
        class_thresholds (dict, optional): See :class:`ConfidenceSelection`; for the class of the
            best word, by the mean certainty of the bits of its pixels (ours). Defaults to None.
        max_words (int): Words that are candidates at most. Defaults to 8 (released code).
        other_bits (str): Targets of the bits of a confident pixel that are not shared: ``'own'``:
            the more probable value of each (paper); ``'none'``: none (ours). Defaults to 'own'.

    Raises:
        TypeError: If ``max_words`` is no whole number.
        ValueError: For an unknown choice.
    """

    def __init__(
        self,
        num_classes: int,
        confidence_threshold: float = 0.95,
        class_thresholds: Optional[dict] = None,
        max_words: int = 8,
        other_bits: str = 'own',
    ) -> None:
        super().__init__(num_classes, confidence_threshold, class_thresholds)
        settings.check_number('model.consistency.max_words', max_words, 1, whole=True)
        settings.check_choice('model.consistency.other_bits', other_bits, OTHER_BITS)
        self.max_words, self.other_bits = max_words, other_bits

    def confident(self, pseudo: PseudoLabel) -> Tensor:
        """``(B, H, W)`` bool, pixels with a target."""
        assert pseudo.bits is not None
        return (pseudo.bits != 0).any(-3)

    def ratio(self, pseudo: PseudoLabel) -> Tensor:
        """Ratio of confident pixels, over all ranks; scalar."""
        return mean_over_ranks(self.confident(pseudo).float().mean())

    @torch.no_grad()
    def targets(
        self,
        bits: Tensor,
        scores: Tensor,
        code: Tensor,
        label: Tensor,
        update_thresholds: bool = True,
    ) -> Tensor:
        """Targets of bits.

        Args:
            bits (Tensor): ``(B, M, H, W)`` logits of a teacher.
            scores (Tensor): ``(B, K, H, W)`` class logits.
            code (Tensor): ``(K, M)`` int8.
            label (Tensor): ``(B, H, W)`` int64 best class, 255 in the padding.
            update_thresholds (bool): Whether thresholds of classes learn from the certainty of the
                bits. Defaults to True.

        Returns:
            Tensor: ``(B, M, H, W)`` int8, 1, -1 or 0 for none.
        """
        if update_thresholds and self.class_thresholds is not None:
            self.update(label, bit_certainty(bits).mean(1))
        threshold: Any = self.threshold_of(label)
        shared, number = reliable_bits(bits, scores, code, threshold, self.max_words)
        if self.other_bits == 'none':
            return shared
        own = torch.where(bits >= 0, 1, -1).to(shared.dtype)
        return torch.where((shared == 0) & (number > 0)[:, None], own, shared)

    def forward(self, head: Any, bits: Tensor, pseudo: PseudoLabel) -> Tensor:
        """Loss of bits, divided by the number of pixels that are not padding (over all ranks).

        Args:
            head (CodeHead): Has the code and the loss.
            bits (Tensor): ``(B, M, h, w)`` logits of a student.
            pseudo (PseudoLabel): With ``bits``.

        Returns:
            Tensor: Scalar.
        """
        assert pseudo.bits is not None
        loss = head.pixel_loss(bits, pseudo.bits, pseudo.label).sum()
        return loss / mean_pixel_count(pseudo, pseudo.valid)
