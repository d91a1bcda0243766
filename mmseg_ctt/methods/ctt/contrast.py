# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional import downsample_nearest, pseudo_label
from ...functional.device_memory import elements_at_a_time
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.memory_contrast import MemoryContrast
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from .bank_contrast import CHUNK_ELEMENTS
from .joint import Pixels, cross_contrast, next_pair

KEY = 'model.contrast'
CONFIDENCES = ('teacher', 'student')
BANK_SCORES = ('probability', 'logit')


class CrossContrast(MemoryContrast):
    """High-level and low-level contrast of all pairs, and their banks (CTT Eq 6-9).

    Args:
        num_pairs (int): ``P``, one bank per pair.
        num_classes (int): ``K``.
        width (int): Channels of the embedding.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`; ``dim`` may be left out.
        threshold (float): ``phi`` of Eq 7, from 0 to 1; ``loss_weights`` switches the contrast off.
            Defaults to 0.75.
        temperature_high (float): Defaults to 0.1 (released code).
        temperature_low (float): Defaults to 0.5 (released code).
        confidence (str): Confidence that Eq 7 compares with ``threshold``: of the ``'teacher'``,
            the cross teacher after mixing (released code), or of the ``'student'``, the query
            itself (the paper's prose). Defaults to 'teacher'.
        directional (bool): Whether low-level queries must be less confident than the peer
            (Eq 9). Defaults to True.
        peer_threshold (float, optional): Lowest confidence of the peer; ``phi`` in the released
            DeepLabV3+ script. Defaults to None (paper).
        bank_score (str): Score by which candidates for the bank are ranked and compared with
            ``bank_threshold``: the ``'probability'`` of their class or its raw ``'logit'``
            (released code). Defaults to 'probability'.
        bank_threshold (float): Lowest score of a candidate. Defaults to 0 (paper); the released
            code has 0.95 for a logit, which hardly excludes a pixel.
        pool (int): Average pooling of embeddings and logits before the contrast, for heads at
            stride 4. Defaults to 1, none.
        chunk_elements (int, optional): Similarities of pixels and bank entries that are held at a
            time, of 4 bytes each. More are fewer operations and more memory; losses change by their
            rounding alone. Defaults to None: 2 ** 22 on a CPU; on a GPU the largest power of two
            up to 2 ** 28 that takes a sixteenth of the memory that is free at the first contrast.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is unknown or out of range, or ``bank.dim`` is not the
            embedding's width.
    """

    def __init__(
        self,
        num_pairs: int,
        num_classes: int,
        width: int,
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
        chunk_elements: Optional[int] = None,
    ) -> None:
        super().__init__()
        settings.check_choice(f'{KEY}.confidence', confidence, CONFIDENCES)
        settings.check_choice(f'{KEY}.bank_score', bank_score, BANK_SCORES)
        temperatures = dict(temperature_high=temperature_high, temperature_low=temperature_low)
        settings.check_numbers(KEY, temperatures, 0, ends='(]')
        settings.check_number(f'{KEY}.pool', pool, 1, whole=True)
        settings.check_number(f'{KEY}.threshold', threshold, 0, 1)
        if peer_threshold is not None:
            settings.check_number(f'{KEY}.peer_threshold', peer_threshold, 0, 1)
        of_score = (0, 1) if bank_score == 'probability' else ()
        settings.check_number(f'{KEY}.bank_threshold', bank_threshold, *of_score)
        if chunk_elements is not None:
            settings.check_number(f'{KEY}.chunk_elements', chunk_elements, 1, whole=True)
        self.bank = settings.build_part(
            'bank',
            bank,
            'ClassMemoryBank',
            dict(dim=width),
            num_classes=num_classes,
            num_banks=num_pairs,
        )
        remedy = 'set it to this number (decode_head.channels), or leave it out'
        self.check_bank_dim(width, 'embedding', remedy)
        self.threshold = threshold
        self.temperature_high, self.temperature_low = temperature_high, temperature_low
        self.confidence, self.directional = confidence, directional
        self.peer_threshold = peer_threshold
        self.bank_score, self.bank_threshold = bank_score, bank_threshold
        self.pool, self.num_pairs, self.chunk_elements = pool, num_pairs, chunk_elements

    def forward(
        self,
        labeled: Sequence[PixelOutput],
        unlabeled: Sequence[PixelOutput],
        label: Tensor,
        target: PseudoLabel,
    ) -> Tuple[Tensor, Tensor]:
        """Both terms for every student, against the present state of the banks.

        Args:
            labeled (Sequence[PixelOutput]): Of each student, for the labelled images.
            unlabeled (Sequence[PixelOutput]): Of each student, for the strong view.
            label (Tensor): ``(B_l, H, W)`` int64 ground truth.
            target (PseudoLabel): ``(P, B_u, H, W)``, of the teacher of each student; a confidence
                of 0 leaves a pixel out, as in the padding.

        Returns:
            tuple[Tensor, Tensor]: High-level and low-level contrast, ``(P,)`` each.
        """
        query = self._rows([batch for pair in zip(labeled, unlabeled) for batch in pair])
        size = self._size(labeled[0])
        truth, pseudo, confidence = (
            downsample_nearest(map_, size) for map_ in (label, target.label, target.confidence)
        )
        return cross_contrast(
            query,
            self._pixels(truth, pseudo, confidence, unlabeled),
            self.bank.features,
            self.bank.mask,
            (self.temperature_high, self.temperature_low),
            mean_over_ranks,
            self.chunk_elements or elements_at_a_time(query.device, CHUNK_ELEMENTS),
        )

    def zero_loss(self, outputs: Sequence[PixelOutput]) -> Tensor:
        """``(P,)`` zeros, attached to the graph of each student's output."""
        return torch.stack([output.zero_loss() for output in outputs])

    def _pixels(
        self, truth: Tensor, label: Tensor, confidence: Tensor, unlabeled: Sequence[PixelOutput]
    ) -> Pixels:
        """Classes and masks: Eq 7 for the high-level contrast, Eq 9 for all other pixels."""
        own_label, own = self._pseudo_label(unlabeled)
        valid = confidence > 0  # the padding has no pseudo-label
        read = own if self.confidence == 'student' else confidence
        confident = valid & (read >= self.threshold)
        chosen = valid ^ confident  # those that are not
        peer = next_pair(own)
        if self.directional:
            chosen = chosen & (own < peer)
        if self.peer_threshold is not None:
            chosen = chosen & (peer >= self.peer_threshold)
        return Pixels(truth, label, confident, next_pair(own_label), chosen)

    @torch.no_grad()
    def update(self, outputs: Sequence[PixelOutput], label: Tensor) -> None:
        """Enter correctly classified labelled pixels of each pair's teacher into its bank.

        Args:
            outputs (Sequence[PixelOutput]): Of each pair's teacher, for the labelled images.
            label (Tensor): ``(B_l, H, W)`` int64 ground truth.
        """
        predicted, score = self._pseudo_label(outputs, raw=self.bank_score == 'logit')
        predicted, score = predicted.flatten(1), score.flatten(1)
        truth = downsample_nearest(label, self._size(outputs[0])).flatten().expand_as(predicted)
        valid = predicted == truth
        if self.bank_threshold or self.bank_score == 'logit':  # no probability is below 0
            valid = valid & (score >= self.bank_threshold)
        self.bank.update(self._rows(outputs), truth, score, valid, len(label))

    def _size(self, output: PixelOutput) -> Tuple[int, int]:
        height, width = output.logits.shape[2:]
        return -(-height // self.pool), -(-width // self.pool)

    def _rows(self, outputs: Sequence[PixelOutput]) -> Tensor:
        """Pooled embeddings ``(P, N, D)``, the outputs of a pair one after the other."""
        embeddings = []
        for output in outputs:
            assert output.embedding is not None
            embeddings.append(self._pooled(output.embedding))
        rows = torch.cat(embeddings).permute(0, 2, 3, 1)
        return rows.reshape(self.num_pairs, -1, self.bank.dim)

    def _pseudo_label(
        self, outputs: Sequence[PixelOutput], raw: bool = False
    ) -> Tuple[Tensor, Tensor]:
        """``(P, B, h, w)`` label and confidence by the pooled logits, or the raw logit itself."""
        logits = self._pooled(torch.cat([output.logits for output in outputs]))
        label, confidence = pseudo_label(logits)
        score = logits.detach().float().amax(dim=1) if raw else confidence
        shape = self.num_pairs, -1, *label.shape[1:]
        return label.view(shape), score.view(shape)

    def _pooled(self, tensor: Tensor) -> Tensor:
        return tensor if self.pool == 1 else F.avg_pool2d(tensor, self.pool, ceil_mode=True)
