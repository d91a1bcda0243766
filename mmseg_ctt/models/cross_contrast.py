# Copyright (c) mmseg_ctt contributors.
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import downsample_nearest, high_level_contrast, low_level_contrast, pseudo_label
from .member import PixelOutput
from .ranks import mean_over_ranks

CONFIDENCES = ('teacher', 'student')
BANK_SCORES = ('probability', 'logit')
Target = Tuple[Tensor, Tensor]  # label and confidence, (B, H, W) each


class CrossContrast(nn.Module):
    """High-level and low-level contrast of all pairs, and the banks they read (CTT Eq 6-9).

    Args:
        num_pairs (int): One bank per pair.
        num_classes (int): ``K``.
        dim (int): Width of the embedding.
        bank (dict): Settings of :class:`ClassMemoryBank`; ``dim`` may be left out.
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

    def __init__(self,
                 num_pairs: int,
                 num_classes: int,
                 dim: int,
                 bank: dict,
                 threshold: float = 0.75,
                 temperature_high: float = 0.1,
                 temperature_low: float = 0.5,
                 confidence: str = 'teacher',
                 directional: bool = True,
                 peer_threshold: Optional[float] = None,
                 bank_score: str = 'probability',
                 bank_threshold: float = 0.0,
                 pool: int = 1) -> None:
        super().__init__()
        if confidence not in CONFIDENCES:
            raise ValueError(f'model.contrast.confidence must be one of {CONFIDENCES}, got '
                             f'{confidence!r}')
        if bank_score not in BANK_SCORES:
            raise ValueError(f'model.contrast.bank_score must be one of {BANK_SCORES}, got '
                             f'{bank_score!r}')
        if min(temperature_high, temperature_low) <= 0 or pool < 1:
            raise ValueError('model.contrast: temperatures must be positive and pool at least 1')
        bank = {'type': 'ClassMemoryBank', 'dim': dim, **bank}
        if bank['dim'] != dim:
            raise ValueError(f'model.bank.dim={bank["dim"]} does not match the embedding, which '
                             f'is {dim} wide (decode_head.channels): set it to {dim}, or leave '
                             'it out')
        self.banks = ModuleList(
            [MODELS.build({**bank, 'num_classes': num_classes}) for _ in range(num_pairs)])
        self.threshold = threshold
        self.temperature_high, self.temperature_low = temperature_high, temperature_low
        self.confidence, self.directional = confidence, directional
        self.peer_threshold = peer_threshold
        self.bank_score, self.bank_threshold = bank_score, bank_threshold
        self.pool = pool

    def forward(self, labeled: Sequence[PixelOutput], unlabeled: Sequence[PixelOutput],
                label: Tensor, targets: Sequence[Target]) -> List[Dict[str, Tensor]]:
        """Both terms for every student, against the banks as they stand.

        Args:
            labeled (Sequence[PixelOutput]): Of each student, on the labelled images.
            unlabeled (Sequence[PixelOutput]): Of each student, on the strong view.
            label (Tensor): ``(B_l, H, W)`` int64 truth.
            targets (Sequence[tuple[Tensor, Tensor]]): Label and confidence ``(B_u, H, W)`` that
                teach each student.

        Returns:
            list[dict[str, Tensor]]: ``high`` and ``low`` of each student, scalars.
        """
        known = [self._pooled(output) for output in labeled]
        unknown = [self._pooled(output) for output in unlabeled]
        size = known[0].embedding.shape[2:]
        label = downsample_nearest(label, size).flatten()
        targets = [(downsample_nearest(y, size).flatten(), downsample_nearest(c, size).flatten())
                   for y, c in targets]
        own = [pseudo_label(output.logits) for output in unknown]
        own = [(y.flatten(), c.flatten()) for y, c in own]
        terms = []
        for i in range(len(known)):
            confident = (own if self.confidence == 'student' else targets)[i][1] >= self.threshold
            terms.append(dict(
                high=self._high(i, known[i], unknown[i], label, targets[i][0], confident),
                low=self._low(i, unknown, own, ~confident)))
        return terms

    def _high(self, i: int, labeled: PixelOutput, unlabeled: PixelOutput, label: Tensor,
              target: Tensor, confident: Tensor) -> Tensor:
        """Eq 6: labelled pixels with their truth, confident unlabelled ones with their target."""
        query = torch.cat([_rows(labeled.embedding), _rows(unlabeled.embedding)])
        bank = self.banks[i]
        known = (label >= 0) & (label < bank.num_classes)
        return high_level_contrast(query, torch.cat([label, target]), bank.features,
                                   self.temperature_high, torch.cat([known, confident]),
                                   bank.filled, mean_over_ranks)

    def _low(self, i: int, outputs: Sequence[PixelOutput], own: Sequence[Target],
             uncertain: Tensor) -> Tensor:
        """Eq 8-9: the other pixels, drawn to the feature of the surer peer student."""
        peer = (i + 1) % len(outputs)
        if peer == i:  # a single pair has no peer
            return outputs[i].zero()
        label, confidence = own[peer]
        valid = uncertain
        if self.directional:
            valid = valid & (own[i][1] < confidence)
        if self.peer_threshold is not None:
            valid = valid & (confidence >= self.peer_threshold)
        banks = self.banks[i], self.banks[peer]
        return low_level_contrast(_rows(outputs[i].embedding), _rows(outputs[peer].embedding),
                                  label, torch.cat([bank.features for bank in banks], dim=1),
                                  self.temperature_low, valid,
                                  torch.cat([bank.filled for bank in banks], dim=1),
                                  mean_over_ranks)

    @torch.no_grad()
    def remember(self, outputs: Sequence[PixelOutput], label: Tensor) -> None:
        """Push rightly classified labelled pixels of each pair's teacher into its bank.

        Args:
            outputs (Sequence[PixelOutput]): Of each pair's teacher, on the labelled images.
            label (Tensor): ``(B_l, H, W)`` int64 truth.
        """
        for bank, output in zip(self.banks, outputs):
            output = self._pooled(output)
            guess, score = pseudo_label(output.logits)
            if self.bank_score == 'logit':
                score = output.logits.float().amax(dim=1)
            truth = downsample_nearest(label, guess.shape[1:])
            valid = (guess == truth) & (score >= self.bank_threshold)
            bank.push(_rows(output.embedding), truth.flatten(), score.flatten(),
                      valid.flatten(), label.shape[0])

    def fill(self) -> Tensor:
        """``(P, K)`` float32, filled share of every queue of every pair."""
        return torch.stack([bank.count for bank in self.banks]).float() / self.banks[0].size

    def _pooled(self, output: PixelOutput) -> PixelOutput:
        if self.pool == 1:
            return output
        return output._replace(
            logits=F.avg_pool2d(output.logits, self.pool, ceil_mode=True),
            embedding=F.avg_pool2d(output.embedding, self.pool, ceil_mode=True))


def _rows(embedding: Tensor) -> Tensor:
    """``(B, D, h, w)`` to ``(B*h*w, D)``."""
    return embedding.permute(0, 2, 3, 1).flatten(0, 2)
