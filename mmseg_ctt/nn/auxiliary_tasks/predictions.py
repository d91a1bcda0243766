# Copyright (c) mmseg_ctt contributors.
"""What tasks on the predictions of a student share: sources, pixels, means."""

from typing import List, Optional, Sequence

import torch
from torch import Tensor

from ...functional import two_class_logits
from ..member import PixelOutput
from ..ranks import mean_over_ranks
from .task import KEY, AuxiliaryTask

UNLABELED = 'unlabeled'


class PredictionTask(AuxiliaryTask):
    """A task on what a student predicts for unchanged images.

    It reads the unlabelled images alone where the method has them and ``sources`` is not set. Tasks
    of a step share one pass; pixels are those of the head's logits, those of the padding do not
    count.

    Args:
        kwargs: As in :class:`AuxiliaryTask`.
    """

    @property
    def reads_predictions(self) -> str:
        """See :attr:`AuxiliaryTask.reads_predictions`."""
        return f'{KEY}: {type(self).__name__}'

    def use_sources(self, known: Sequence[str]) -> None:
        """See :meth:`AuxiliaryTask.use_sources`."""
        super().use_sources(known)
        if self.given_sources is None and UNLABELED in known:
            self.sources = (UNLABELED,)


def class_logits(output: PixelOutput) -> Tensor:
    """``(B, K, h, w)`` float32 logits, two classes where the head has a single channel."""
    return two_class_logits(output.logits.float())


def mean_over_pixels(values: Sequence[Tensor], valid: Sequence[Optional[Tensor]]) -> Tensor:
    """Mean over the pixels of all sources that count.

    Args:
        values (Sequence[Tensor]): ``(B, h, w)`` of each source.
        valid (Sequence[Tensor, optional]): ``(B, h, w)`` bool of each source; None: all pixels.

    Returns:
        Tensor: Scalar. The sum of the rank over the mean number of all ranks, so that the mean over
        ranks is that of one rank with all pixels.
    """
    sums: List[Tensor] = []
    number = values[0].new_zeros(())
    for value, kept in zip(values, valid):
        sums.append((value if kept is None else value * kept).sum())
        number = number + (value.numel() if kept is None else kept.sum())
    return torch.stack(sums).sum() / mean_over_ranks(number).clamp(min=1)
