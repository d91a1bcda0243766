# Copyright (c) mmseg_ctt contributors.
import torch
import torch.nn as nn
from torch import Tensor

from ...functional import confidence_bank_update, warm_momentum
from ...nn.ranks import sum_over_ranks
from .functional import class_confidence_sums

STARTS = ('mean', 'random')


class ClassConfidence(nn.Module):
    """Running mean of the student's probability of the true class, and pixels of each class.

    Sums and counts of all ranks are added before they enter, in one collective of fixed size, so
    that the state is equal on every rank and that of one process with all images (the released
    code has one per rank).

    Buffers:

    - ``confidence`` ``(K,)`` float32, the moving average
    - ``updates`` ``(K,)`` int64, batches that have entered each class
    - ``pixels`` ``(K,)`` int64, labelled pixels so far, before anything was pasted

    Args:
        num_classes (int): ``K``.
        momentum (float): Weight of the old value. Defaults to 0.999 (released code).
        skip_absent (bool): Whether an absent class keeps its value; False lets it fall
            towards 0 (released code). Defaults to True.
        start (str): ``'mean'``: the plain mean of all batches until ``momentum`` takes over, from
            0; ``'random'``: from random numbers that the average forgets (released code).
            Defaults to 'mean'.

    Raises:
        ValueError: If ``momentum`` lies outside [0, 1) or ``start`` is unknown.
    """

    sections = dict(update='bank')  # for benchmarks
    confidence: Tensor
    updates: Tensor
    pixels: Tensor

    def __init__(
        self,
        num_classes: int,
        momentum: float = 0.999,
        skip_absent: bool = True,
        start: str = 'mean',
    ) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'model.class_confidence.momentum must be in [0, 1), got {momentum}')
        if start not in STARTS:
            raise ValueError(f'model.class_confidence.start must be one of {STARTS}, got {start!r}')
        self.num_classes, self.momentum = num_classes, momentum
        self.skip_absent, self.start = skip_absent, start
        first = torch.rand(num_classes) if start == 'random' else torch.zeros(num_classes)
        self.register_buffer('confidence', first)
        self.register_buffer('updates', torch.zeros(num_classes, dtype=torch.long))
        self.register_buffer('pixels', torch.zeros(num_classes, dtype=torch.long))

    @torch.no_grad()
    def update(
        self, logits: Tensor, label: Tensor, original: Tensor, align_corners: bool = False
    ) -> None:
        """Enter the student's output for one labelled batch.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the student; up-sampled to the label.
            label (Tensor): ``(B, H, W)`` int64 truth, as in the student's images.
            original (Tensor): ``(B, H, W)`` int64 truth before anything was pasted.
            align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        """
        total, count = class_confidence_sums(logits, label, self.num_classes, align_corners)
        # float64 holds the pixels of any number of ranks exactly
        total, count, pixels = sum_over_ranks(
            torch.stack([total, count, self._count(original)]).double()
        )
        self.confidence.copy_(
            confidence_bank_update(
                self.confidence, total, count, self._weight_of_old(), self.skip_absent
            )
        )
        self.updates += (count > 0) | (not self.skip_absent)
        self.pixels += pixels.long()

    def _weight_of_old(self) -> Tensor:
        if self.start == 'random':
            return torch.full_like(self.confidence, self.momentum)
        return warm_momentum(self.updates, self.momentum)

    def _count(self, label: Tensor) -> Tensor:
        """``(K,)`` float32, pixels of each class."""
        known = (label >= 0) & (label < self.num_classes)
        zeros = torch.zeros(self.num_classes, device=label.device)
        return zeros.index_add(0, label.masked_fill(~known, 0).flatten(), known.flatten().float())
