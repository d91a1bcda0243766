# Copyright (c) mmseg_ctt contributors.
from typing import Callable, List, NamedTuple, Optional, Sequence, Union

import torch
from torch import Tensor

from .augmentation import PixelSource, View

IGNORE_INDEX = 255
TRUE_LOGIT = 50.0  # of the true class, the others being 0


class PseudoLabel(NamedTuple):
    """What a network predicts for the pixels of a batch, as a target for another.

    Attributes:
        label (Tensor): ``(B, H, W)`` int64 class; 255 in the padding.
        confidence (Tensor): ``(B, H, W)`` float32 probability of that class; 0 in the padding.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding; None where nothing was
            padded.
        logits (Tensor, optional): ``(B, K, H, W)`` float32, where a soft target needs them.
        bits (Tensor, optional): ``(B, M, H, W)`` int8, where classes are words of ``M`` bits: 1,
            -1, or 0 for a bit without a target.
        true (Tensor, optional): ``(B, H, W)`` bool, pixels of ground truth, which is no
            pseudo-label; None where there are none.
    """

    label: Tensor
    confidence: Tensor
    valid: Optional[Tensor] = None
    logits: Optional[Tensor] = None
    bits: Optional[Tensor] = None
    true: Optional[Tensor] = None

    @classmethod
    def of(
        cls,
        label: Tensor,
        confidence: Tensor,
        valid: Optional[Tensor],
        logits: Optional[Tensor] = None,
    ) -> 'PseudoLabel':
        """With 255 and 0 in the padding."""
        if valid is not None:
            label = label.masked_fill(~valid, IGNORE_INDEX)
            confidence = confidence.masked_fill(~valid, 0)
        return cls(label, confidence, valid, logits)

    @classmethod
    def of_truth(
        cls, label: Tensor, num_classes: int, logits_like: Optional[Tensor] = None
    ) -> 'PseudoLabel':
        """Ground truth as a pseudo-label of confidence 1, of which unlabelled pixels are no part.

        Args:
            label (Tensor): ``(B, H, W)`` int64, no class where there is no label, as 255 and -100.
            num_classes (int): ``K``.
            logits_like (Tensor, optional): ``(*, K, H, W)`` logits of the pseudo-labels that it is
                joined with. Defaults to None: there are none.
        """
        valid = (label >= 0) & (label < num_classes)
        logits = None
        if logits_like is not None:
            classes = torch.arange(logits_like.shape[1], device=label.device).view(-1, 1, 1)
            logits = TRUE_LOGIT * (label.unsqueeze(1) == classes).to(logits_like)
        confidence = torch.ones_like(label, dtype=torch.float32)
        true = torch.ones_like(label, dtype=torch.bool)
        return cls.of(label, confidence, valid, logits)._replace(true=true)

    @property
    def class_index(self) -> Tensor:
        """The label with 0 in the padding, for look-ups by class."""
        return self.label if self.valid is None else self.label.masked_fill(~self.valid, 0)

    def apply_mix(self, view: Union[View, PixelSource]) -> 'PseudoLabel':
        """The pseudo-label of the images of a strong view."""
        return PseudoLabel._make(None if map_ is None else view.apply_mix(map_) for map_ in self)

    def joined(self, other: 'PseudoLabel') -> 'PseudoLabel':
        """The pseudo-labels of two batches of images of one size as those of one batch."""
        return _combined(torch.cat, [self, other])

    @classmethod
    def stacked(cls, targets: Sequence['PseudoLabel']) -> 'PseudoLabel':
        """Pseudo-labels of images of one size as ``(V, B, H, W)`` maps of ``V`` problems."""
        return _combined(torch.stack, targets)

    def first(self, number: int) -> 'PseudoLabel':
        """Those of the first images of the batch."""
        if number == len(self.label):
            return self
        return PseudoLabel._make(None if map_ is None else map_[:number] for map_ in self)

    def of_network(self, mask: Tensor) -> Tensor:
        """``mask`` ``(B, H, W)`` bool, made False where the label is ground truth."""
        return mask if self.true is None else mask & ~self.true

    def mask_padding(self, mask: Tensor) -> Tensor:
        """``mask`` ``(B, H, W)`` bool, made False in the padding."""
        return mask if self.valid is None else mask & self.valid


def _combined(
    combine: Callable[[List[Tensor]], Tensor], targets: Sequence[PseudoLabel]
) -> PseudoLabel:
    """Pseudo-labels as one, each map by ``combine``.

    Where only some have ``valid`` or ``true``, the others are taken to have no padding and no
    ground truth. ``logits`` and ``bits`` stay where all have them.
    """
    maps = dict(
        label=combine([target.label for target in targets]),
        confidence=combine([target.confidence for target in targets]),
    )
    if any(target.valid is not None for target in targets):
        maps['valid'] = combine([_valid(target) for target in targets])
    if any(target.true is not None for target in targets):
        maps['true'] = combine([_true(target) for target in targets])
    for name in ('logits', 'bits'):
        of_all = [getattr(target, name) for target in targets]
        if all(map_ is not None for map_ in of_all):
            maps[name] = combine(of_all)
    return PseudoLabel(**maps)


def _valid(pseudo: PseudoLabel) -> Tensor:
    if pseudo.valid is None:
        return torch.ones_like(pseudo.label, dtype=torch.bool)
    return pseudo.valid


def _true(pseudo: PseudoLabel) -> Tensor:
    if pseudo.true is None:
        return torch.zeros_like(pseudo.label, dtype=torch.bool)
    return pseudo.true
