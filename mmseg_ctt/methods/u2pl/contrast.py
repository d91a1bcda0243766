# Copyright (c) mmseg_ctt contributors.
import copy
from typing import ClassVar, Dict, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import downsample_nearest, draw_index, draw_per_class
from ...nn import settings
from ...nn.class_means import class_means
from ...nn.member import PixelOutput
from ...nn.memory_bank import bank_settings
from ...nn.memory_contrast import MemoryContrast
from ...nn.projection import PixelProjection, projected_zero_loss, rows
from ...nn.rng import Draw, noise_maps
from .entropy import EntropyPartition
from .functional import NEGATIVES, best_per_class, negative_candidates, unreliable_contrast

SIZE = 30000  # entries of a queue
FIRST_RANK, LAST_RANK = 3, 20  # of classes that a pixel is a negative of
BUDGET = 1000  # entries that a class gains a step; a batch has tens of thousands


class Pixels(NamedTuple):
    """The teacher's output for a batch at the resolution of the contrast, labelled images first.

    Attributes:
        feature (Tensor): ``(N, D)`` representation.
        prob (Tensor): ``(N, K)`` float32 probabilities.
        label (Tensor): ``(N,)`` int64, ground truth or pseudo-label; any value where every mask
            is False.
        low (Tensor): ``(N,)`` bool, labelled or of low entropy.
        known (Tensor): ``(N,)`` bool, labelled.
        unreliable (Tensor): ``(N,)`` bool, unlabelled and of high entropy.
    """

    feature: Tensor
    prob: Tensor
    label: Tensor
    low: Tensor
    known: Tensor
    unreliable: Tensor


class UnreliableContrast(MemoryContrast):
    """U2PL contrastive loss with per-class negative queues.

    Args:
        num_classes (int): ``K``.
        width (int): Of the embedding that the projection reads.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. ``size`` defaults to 30,000
            (released code) and ``budget``, what a class gains a step over all ranks, to 1,000.
        dim (int): ``D``, width of the representation. Defaults to 256 (released code).
        dropout (float): Of the projection. Defaults to 0.1 (released code).
        pool (int): Average pooling of embeddings and logits before the contrast, for heads at
            stride 4. Defaults to 1, none.
        num_anchors (int): Of each class, on each rank. Defaults to 256 (released code).
        num_negatives (int): Of each anchor. Defaults to 50 (released code).
        temperature (float): Defaults to 0.5 (released code).
        anchor_threshold (float): Probability of its class above which a pixel is an anchor.
            Defaults to 0.3 (released code).
        negative_threshold (float): Probability of a class below which a pixel is its negative.
            Defaults to 1 (released code).
        ranks (tuple[int, int], optional): See :func:`negative_candidates`. Defaults to None:
            (3, 20) (paper); with three classes or fewer the last rank alone.
        negatives (str): ``'paper'`` or ``'released'``, see :func:`negative_candidates`.
            Defaults to 'paper'.
        legacy_index (bool): Contrast the ``i``-th class of all with the queue of the ``i``-th
            class that is present, as the released code does. Defaults to False.
        norm_cfg (dict, optional): See :class:`PixelProjection`; the segmentor gives its head's.
            Defaults to None.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is out of range or unknown.
    """

    waits = False
    required_hooks: ClassVar[Dict[str, str]] = {}

    def __init__(
        self,
        num_classes: int,
        width: int,
        bank: Optional[dict],
        dim: int = 256,
        dropout: float = 0.1,
        pool: int = 1,
        num_anchors: int = 256,
        num_negatives: int = 50,
        temperature: float = 0.5,
        anchor_threshold: float = 0.3,
        negative_threshold: float = 1.0,
        ranks: Optional[Tuple[int, int]] = None,
        negatives: str = 'paper',
        legacy_index: bool = False,
        norm_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__()
        numbers = dict(dim=dim, pool=pool, num_anchors=num_anchors, num_negatives=num_negatives)
        settings.check_numbers('model.contrast', numbers, 1, whole=True)
        settings.check_number('model.contrast.temperature', temperature, 0, ends='(]')
        ratios = dict(anchor_threshold=anchor_threshold, negative_threshold=negative_threshold)
        settings.check_numbers('model.contrast', ratios, 0, 1)
        if ranks is None:
            ranks = (min(FIRST_RANK, num_classes - 1), LAST_RANK)
        settings.check_range('model.contrast.ranks', ranks)
        if not 0 < ranks[0] < min(ranks[1], num_classes):
            raise ValueError(
                f'model.contrast.ranks={tuple(ranks)} leaves no class of '
                f'{num_classes} to be a negative of: the first must be below both '
                'the second and the number of classes'
            )
        settings.check_choice('model.contrast.negatives', negatives, NEGATIVES)
        bank = bank_settings(bank, dict(size=SIZE, dim=dim, budget=BUDGET))
        self.bank = settings.build_part('bank', bank, 'ClassMemoryBank', num_classes=num_classes)
        self.check_bank_dim(dim, 'representation')
        self.projection = PixelProjection(width, dim, dropout, norm_cfg)
        self.teacher_projection = copy.deepcopy(self.projection).requires_grad_(False)
        self.pool, self.num_anchors, self.num_negatives = pool, num_anchors, num_negatives
        self.temperature, self.anchor_threshold = temperature, anchor_threshold
        self.negative_threshold, self.ranks = negative_threshold, ranks
        self.negatives, self.legacy_index = negatives, legacy_index

    def forward(
        self, outputs: Sequence[PixelOutput], pixels: Pixels, draws: Sequence[Draw]
    ) -> Tensor:
        """The loss, against the present queues.

        Its mean over several ranks is that of one process with all pixels, up to the anchors
        that are drawn: prototypes and numbers of pixels are those of all ranks.

        Args:
            outputs (Sequence[PixelOutput]): Of the student, for labelled images and strong view.
            pixels (Pixels): Of the teacher, for the same images.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)``; the random numbers of
                this rank follow from the first.

        Returns:
            Tensor: Scalar.
        """
        bank = self.bank
        query = self._project(self.projection, [output.pooled(self.pool) for output in outputs])
        own = pixels.label.masked_fill(~pixels.low, 0).unsqueeze(1)
        candidate = pixels.low & (pixels.prob.gather(1, own).squeeze(1) > self.anchor_threshold)
        shape = bank.num_classes, self.num_anchors, 1 + self.num_negatives
        noise = noise_maps(draws[:1], shape[0] * shape[1], shape[2], 'u2pl/draws', query.device)
        noise = noise.view(shape)
        anchor_index, num_candidates = draw_per_class(
            pixels.label, candidate, bank.num_classes, noise[..., 0]
        )
        negative = draw_index(bank.count.view(-1, 1, 1), noise[..., 1:])
        prototype, present, ratio = class_means(
            pixels.feature, pixels.label, pixels.low, num_candidates
        )
        if self.legacy_index:
            source = (present.cumsum(0) - 1).clamp(min=0)
            anchor_index, prototype, ratio = anchor_index[source], prototype[source], ratio[source]
        count = present.sum()
        weight = ratio * (present & (bank.count > 0)) * (count > 1) / count.clamp(min=1)
        return unreliable_contrast(
            query, anchor_index, prototype, bank.features, negative, weight, self.temperature
        )

    def zero_loss(self, outputs: Sequence[PixelOutput]) -> Tensor:
        """See :func:`projected_zero_loss`."""
        return projected_zero_loss(self.projection, outputs)

    @torch.no_grad()
    def update(self, pixels: Pixels, draws: Sequence[Draw]) -> None:
        """Enter the negatives of every class, a random choice where they are too many.

        Args:
            pixels (Pixels): The batch.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of its images.
        """
        is_negative = negative_candidates(
            pixels.prob,
            pixels.label,
            pixels.known,
            pixels.unreliable,
            self.ranks,
            self.negative_threshold,
            self.negatives,
        )
        num_classes, num_pixels = is_negative.shape
        pixels_each = num_pixels // len(draws)
        score = noise_maps(draws, 1, pixels_each, 'u2pl/keys', is_negative.device).flatten()
        assert self.bank.budget is not None
        index, taken = best_per_class(is_negative, score, self.bank.budget)
        class_id = torch.arange(num_classes, device=index.device).repeat_interleave(index.shape[1])
        index = index.flatten()
        self.bank.update(pixels.feature[index], class_id, score[index], taken.flatten(), len(draws))

    @torch.no_grad()
    def pixels(
        self,
        outputs: Sequence[PixelOutput],
        truth: Tensor,
        target: Tensor,
        partition: EntropyPartition,
    ) -> Pixels:
        """The teacher's output, and the masks of reliable and unreliable pixels.

        Args:
            outputs (Sequence[PixelOutput]): Of the teacher, for labelled images and strong view.
            truth (Tensor): ``(B_l, H, W)`` int64 ground truth.
            target (Tensor): ``(B_u, H, W)`` int64 pseudo-labels, mixed as the view.
            partition (EntropyPartition): Of the strong view, ``(B_u, H, W)``.
        """
        outputs = [output.pooled(self.pool) for output in outputs]
        logits = torch.cat([output.logits.float() for output in outputs])
        size = (logits.shape[2], logits.shape[3])
        truth, target, low, high = (
            downsample_nearest(map_, size) for map_ in (truth, target, *partition)
        )
        known = (truth >= 0) & (truth < self.bank.num_classes)
        maps = dict(
            label=(truth, target),
            low=(known, low),
            known=(known, torch.zeros_like(high)),
            unreliable=(torch.zeros_like(known), high),
        )
        return Pixels(
            feature=self._project(self.teacher_projection, outputs).float(),
            prob=rows(logits).softmax(dim=1),
            **{name: torch.cat(parts).flatten() for name, parts in maps.items()},
        )

    def _project(self, projection: nn.Module, outputs: Sequence[PixelOutput]) -> Tensor:
        return rows(
            projection(
                torch.cat([output.embedding for output in outputs if output.embedding is not None])
            )
        )
