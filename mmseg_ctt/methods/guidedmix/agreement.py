# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple, Union

from torch import Tensor

from ...functional import pseudo_label
from ...nn import settings
from ...nn.consistency import ConfidenceSelection
from ...nn.pseudo_label import IGNORE_INDEX
from ...nn.ranks import mean_over_ranks
from .functional import AGREEMENTS, agreement


class Agreement(ConfidenceSelection):
    """Distance of a decoupled prediction to the network's own of the unlabelled image.

    Args:
        num_classes (int): ``K``.
        loss (str): ``'ce'`` or ``'focal'`` to hard labels, ``'mse'`` to probabilities. Defaults
            to 'ce'; GuidedMix-Net gives ``'focal'``, in paper mode ``'ce'``.
        confidence_threshold (float): Pixels below it do not count. Defaults to 0, all (both
            modes).
        class_thresholds (dict, optional): See :class:`ConfidenceSelection`. Defaults to None.

    Raises:
        ValueError: For an unknown loss.
    """

    def __init__(
        self,
        num_classes: int,
        loss: str = 'ce',
        confidence_threshold: float = 0.0,
        class_thresholds: Optional[dict] = None,
    ) -> None:
        super().__init__(num_classes, confidence_threshold, class_thresholds)
        settings.check_choice('model.consistency.loss', loss, AGREEMENTS)
        self.loss = loss

    def forward(
        self, logits: Tensor, target: Tensor, valid: Optional[Tensor]
    ) -> Tuple[Tensor, Tensor]:
        """Loss, and ratio of the pixels that count, over all ranks.

        Args:
            logits (Tensor): ``(B, K, h, w)``, decoupled.
            target (Tensor): ``(B, K, h, w)`` logits of the unlabelled images; gives no gradient.
            valid (Tensor, optional): ``(B, h, w)`` bool, False in the padding.
        """
        threshold: Union[float, Tensor] = self.confidence_threshold
        if self.class_thresholds is not None:
            label, confidence = pseudo_label(target)
            label = label if valid is None else label.masked_fill(~valid, IGNORE_INDEX)
            self.update(label, confidence)
            threshold = self.threshold_of(label)
        loss, ratio = agreement(logits, target, self.loss, threshold, valid)
        return loss, mean_over_ranks(ratio)
