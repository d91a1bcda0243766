# Copyright (c) mmseg_ctt contributors.
from typing import Dict, Iterable, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ...functional import downsample_nearest, pseudo_label
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.ranks import mean_over_ranks
from .functional import high_level_contrast, low_level_contrast

CONFIDENCES = ('teacher', 'student')
BANK_SCORES = ('probability', 'logit')
Target = Tuple[Tensor, Tensor]  # label int64 and confidence float32, of one shape


class CrossContrast(nn.Module):
    """High-level and low-level contrast of all pairs, and the banks they read (CTT Eq 6-9).

    Args:
        num_pairs (int): ``P``, one bank per pair.
        num_classes (int): ``K``.
        dim (int): Width of the embedding.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`; ``dim`` may be left out.
        threshold (float): ``phi`` of Eq 7. Defaults to 0.75.
        temperature_high (float): Defaults to 0.1 (released code).
        temperature_low (float): Defaults to 0.5 (released code).
        confidence (str): Whose confidence Eq 7 asks about: ``'teacher'``, the cross teacher
            after mixing (released code), or ``'student'``, the query itself (the paper's
            prose). Defaults to 'teacher'.
        directional (bool): Whether low-level queries must be less confident than the peer
            (Eq 9). Defaults to True.
        peer_threshold (float, optional): Confidence the peer must reach; the DeepLabV3+ script
            of the release asks for ``phi``. Defaults to None (paper).
        bank_score (str): What bank candidates are ranked by and compared with
            ``bank_threshold``: the ``'probability'`` of their class or its raw ``'logit'``
            (released code). Defaults to 'probability'.
        bank_threshold (float): Score of a bank candidate. Defaults to 0 (paper); the release
            asks for 0.95 of a logit, which hardly excludes a pixel.
        pool (int): Average pooling of embeddings and logits before the contrast, for heads at
            stride 4. Defaults to 1, none.

    Raises:
        ValueError: If a setting is unknown or ``bank.dim`` is not the embedding's width.
    """

    def __init__(
        self,
        num_pairs: int,
        num_classes: int,
        dim: int,
        bank: Optional[dict],
        threshold: float = 0.75,
        temperature_high: float = 0.1,
        temperature_low: float = 0.5,
        confidence: str = 'teacher',
        directional: bool = True,
        peer_threshold: Optional[float] = None,
        bank_score: str = 'probability',
        bank_threshold: float = 0.0,
        pool: int = 1,
    ) -> None:
        super().__init__()
        if confidence not in CONFIDENCES:
            raise ValueError(
                f'model.contrast.confidence must be one of {CONFIDENCES}, got {confidence!r}'
            )
        if bank_score not in BANK_SCORES:
            raise ValueError(
                f'model.contrast.bank_score must be one of {BANK_SCORES}, got {bank_score!r}'
            )
        if min(temperature_high, temperature_low) <= 0 or pool < 1:
            raise ValueError('model.contrast: temperatures must be positive and pool at least 1')
        self.bank = settings.build_part(
            'bank',
            bank,
            'ClassMemoryBank',
            dict(dim=dim),
            num_classes=num_classes,
            num_banks=num_pairs,
        )
        if self.bank.dim != dim:
            raise ValueError(
                f'model.bank.dim={self.bank.dim} does not match the embedding, which '
                f'is {dim} wide (decode_head.channels): set it to {dim}, or leave '
                'it out'
            )
        self.threshold = threshold
        self.temperature_high, self.temperature_low = temperature_high, temperature_low
        self.confidence, self.directional = confidence, directional
        self.peer_threshold = peer_threshold
        self.bank_score, self.bank_threshold = bank_score, bank_threshold
        self.pool, self.num_pairs = pool, num_pairs

    def forward(
        self,
        labeled: Sequence[PixelOutput],
        unlabeled: Sequence[PixelOutput],
        label: Tensor,
        target: Target,
    ) -> Dict[str, Tensor]:
        """Both terms for every student, against the banks as they stand.

        Args:
            labeled (Sequence[PixelOutput]): Of each student, on the labelled images.
            unlabeled (Sequence[PixelOutput]): Of each student, on the strong view.
            label (Tensor): ``(B_l, H, W)`` int64 truth.
            target (tuple[Tensor, Tensor]): Label and confidence ``(P, B_u, H, W)`` that teach
                each student; a confidence of 0 leaves a pixel out, as padding is.

        Returns:
            dict[str, Tensor]: ``high`` and ``low``, ``(P,)`` each.
        """
        query = self._rows(batch for pair in zip(labeled, unlabeled) for batch in pair)
        own = self._pseudo_label(unlabeled)
        size = self._size(labeled[0])
        truth = downsample_nearest(label, size).flatten()
        target = tuple(downsample_nearest(one, size).flatten(1) for one in target)
        real = target[1] > 0  # what is padding has no pseudo-label
        sure = (own if self.confidence == 'student' else target)[1] >= self.threshold
        filled = self.bank.filled
        return dict(
            high=self._high(query, truth, target[0], sure & real, filled),
            low=self._low(query[:, truth.numel() :], own, real & ~sure, filled),
        )

    def _high(
        self, query: Tensor, truth: Tensor, target: Tensor, confident: Tensor, filled: Tensor
    ) -> Tensor:
        """Eq 6: labelled pixels with their truth, confident unlabelled ones with their target."""
        known = (truth >= 0) & (truth < self.bank.num_classes)
        truth, known = (one.expand(len(query), -1) for one in (truth, known))
        return high_level_contrast(
            query,
            torch.cat([truth, target], 1),
            self.bank.features,
            self.temperature_high,
            torch.cat([known, confident], 1),
            filled,
            mean_over_ranks,
        )

    def _low(self, query: Tensor, own: Target, valid: Tensor, filled: Tensor) -> Tensor:
        """Eq 8-9: the other pixels, drawn to the feature of the surer peer student."""
        if len(query) == 1:  # a single pair has no peer
            return query[:, :0].float().sum((1, 2))
        peer, label, confidence = (next_pair(one) for one in (query, *own))
        if self.directional:
            valid = valid & (own[1] < confidence)
        if self.peer_threshold is not None:
            valid = valid & (confidence >= self.peer_threshold)
        bank, filled = (
            torch.cat([one, next_pair(one)], dim=2) for one in (self.bank.features, filled)
        )
        return low_level_contrast(
            query, peer, label, bank, self.temperature_low, valid, filled, mean_over_ranks
        )

    @torch.no_grad()
    def remember(self, outputs: Sequence[PixelOutput], label: Tensor) -> None:
        """Push rightly classified labelled pixels of each pair's teacher into its bank.

        Args:
            outputs (Sequence[PixelOutput]): Of each pair's teacher, on the labelled images.
            label (Tensor): ``(B_l, H, W)`` int64 truth.
        """
        guess, score = self._pseudo_label(outputs, raw=self.bank_score == 'logit')
        truth = downsample_nearest(label, self._size(outputs[0])).flatten().expand_as(guess)
        valid = (guess == truth) & (score >= self.bank_threshold)
        self.bank.push(self._rows(outputs), truth, score, valid, len(label))

    def fill(self) -> Tensor:
        """``(P, K)`` float32, filled share of every queue of every pair."""
        return self.bank.count.float() / self.bank.size

    def _size(self, output: PixelOutput) -> Tuple[int, int]:
        return tuple(-(-side // self.pool) for side in output.embedding.shape[2:])

    def _rows(self, outputs: Iterable[PixelOutput]) -> Tensor:
        """Pooled embeddings ``(P, N, D)``, the outputs of a pair behind each other."""
        embeddings = [self._pooled(output.embedding).permute(0, 2, 3, 1) for output in outputs]
        return torch.cat(embeddings).reshape(self.num_pairs, -1, self.bank.dim)

    def _pseudo_label(self, outputs: Sequence[PixelOutput], raw: bool = False) -> Target:
        """``(P, N)`` label and confidence by the pooled logits, or the raw logit itself."""
        logits = self._pooled(torch.cat([output.logits for output in outputs]))
        label, confidence = pseudo_label(logits)
        score = logits.detach().float().amax(dim=1) if raw else confidence
        return label.view(self.num_pairs, -1), score.view(self.num_pairs, -1)

    def _pooled(self, tensor: Tensor) -> Tensor:
        return tensor if self.pool == 1 else F.avg_pool2d(tensor, self.pool, ceil_mode=True)


def next_pair(tensor: Tensor) -> Tensor:
    """What belongs to pair ``i + 1`` at the place of pair ``i``."""
    return tensor.roll(-1, dims=0)
