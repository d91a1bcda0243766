# Copyright (c) mmseg_ctt contributors.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..functional import confidence_bank_update, sums_by_class, warm_momentum
from .ranks import sum_over_ranks

KEY = 'model.consistency.class_thresholds'


class ClassThresholds(nn.Module):
    """Confidence threshold of each class: the mean confidence of its pixels so far.

    One threshold for all classes drops the pixels of rare classes, whose confidence is lower.
    Our own, after the class-wise thresholds of self-training (CBST, FreeMatch).

    Buffers:

    - ``confidence`` ``(K,)`` float32, moving average of the confidence of the pixels
      pseudo-labelled as each class
    - ``updates`` ``(K,)`` int64, batches that have entered it

    Args:
        num_classes (int): ``K``.
        highest (float): Confidence that is enough for any class.
        momentum (float): Weight of the old value, once a plain mean over batches has reached it.
            Defaults to 0.9.

    Raises:
        ValueError: If ``momentum`` lies outside [0, 1).
    """

    confidence: Tensor
    updates: Tensor

    def __init__(self, num_classes: int, highest: float, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'{KEY}.momentum must be in [0, 1), got {momentum}')
        self.num_classes, self.momentum, self.highest = num_classes, momentum, highest
        self.register_buffer('confidence', torch.zeros(num_classes))
        self.register_buffer('updates', torch.zeros(num_classes, dtype=torch.long))

    @torch.no_grad()
    def update(self, label: Tensor, confidence: Tensor) -> None:
        """Enter the pseudo-labels of one batch, those of all ranks.

        Args:
            label (Tensor): Any shape, int64; 255 does not count.
            confidence (Tensor): Same shape, in [0, 1].
        """
        sums = torch.stack(sums_by_class(confidence, label, self.num_classes))
        total, count = sum_over_ranks(sums)
        old = warm_momentum(self.updates, self.momentum)
        self.confidence.copy_(confidence_bank_update(self.confidence, total, count, old))
        self.updates += count > 0

    def of(self, label: Tensor) -> Tensor:
        """Threshold of each pixel's class.

        Args:
            label (Tensor): Any shape, int64; labels outside ``[0, K)`` get 2, more than any
                confidence.

        Returns:
            Tensor: Same shape, float32.
        """
        table = F.pad(self.confidence.clamp(max=self.highest), (0, 1), value=2.0)
        return table[label.clamp(-1, self.num_classes)]  # -1 is the last entry, too
