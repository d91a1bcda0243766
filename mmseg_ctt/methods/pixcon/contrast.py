# Copyright (c) mmseg_ctt contributors.
from typing import ClassVar, Dict, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ...functional import downsample_nearest, pseudo_label, select_per_class
from ...functional.unit import unit
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.memory_bank import bank_settings
from ...nn.memory_contrast import MemoryContrast
from ...nn.projection import PixelProjection, projected_zero_loss, rows
from ...nn.ranks import mean_over_ranks
from ...nn.rng import Draw, noise_maps
from .functional import summed_positives_contrast

ADMITTED = ('clean', 'labeled', 'confident')


class Candidates(NamedTuple):
    """Labelled pixels at the resolution of the contrast.

    Attributes:
        label (Tensor): ``(N,)`` int64, class under which a pixel takes part; anything where
            ``valid`` is False.
        valid (Tensor): ``(N,)`` bool, pixels that may.
        score (Tensor): ``(N,)`` float, random; the highest of a class are chosen.
    """

    label: Tensor
    valid: Tensor
    score: Tensor


def admitted_pixels(
    truth: Tensor,
    predicted: Tensor,
    confidence: Tensor,
    num_classes: int,
    rule: str = 'clean',
    threshold: float = 0.95,
) -> Tuple[Tensor, Tensor]:
    """Labelled pixels that may be anchors and enter the memory.

    Args:
        truth (Tensor): ``(N,)`` int64 ground truth.
        predicted (Tensor): ``(N,)`` int64 class that the student gives.
        confidence (Tensor): ``(N,)`` of that class.
        num_classes (int): ``K``.
        rule (str): ``'clean'``: those predicted right; ``'labeled'``: all with a label;
            ``'confident'``: those of a confident prediction, under the class that it says.
            Defaults to 'clean' (paper; the others are its ablation).
        threshold (float): Of the last rule. Defaults to 0.95 (released code).

    Returns:
        tuple[Tensor, Tensor]: Classes ``(N,)`` int64, and which pixels may ``(N,)`` bool.
    """
    known = (truth >= 0) & (truth < num_classes)
    if rule == 'clean':
        return truth, known & (predicted == truth)
    if rule == 'labeled':
        return truth, known
    return predicted, known & (confidence >= threshold)


class CleanContrast(MemoryContrast):
    """Contrast of labelled pixels with a memory of pixels that were predicted right (PixCon).

    Args:
        num_classes (int): ``K``.
        width (int): Of the embedding that the projection reads.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. ``size`` defaults to 256 and
            ``budget``, the pixels of a class that are anchors and enter the memory in a step, to
            64 (released code).
        dim (int): ``D``, width of the projection. Defaults to 256 (released code).
        max_anchors (int): Of all classes, on each rank. Defaults to 1024 (released code).
        temperature (float): Defaults to 0.1 (released code).
        admitted (str): See :func:`admitted_pixels`. Defaults to 'clean'.
        confidence_threshold (float, optional): Of ``admitted='confident'``. Defaults to None: 0.95
            (released code).
        pool (int): Average pooling of embeddings and logits before the contrast, for heads of a
            small stride. Defaults to 1, none.
        norm_cfg (dict, optional): See :class:`PixelProjection`; the segmentor gives its head's.
            Defaults to None.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is out of range, unknown or without effect.
    """

    waits = False
    required_hooks: ClassVar[Dict[str, str]] = {}

    def __init__(
        self,
        num_classes: int,
        width: int,
        bank: Optional[dict],
        dim: int = 256,
        max_anchors: int = 1024,
        temperature: float = 0.1,
        admitted: str = 'clean',
        confidence_threshold: Optional[float] = None,
        pool: int = 1,
        norm_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__()
        numbers = dict(dim=dim, max_anchors=max_anchors, pool=pool)
        settings.check_numbers('model.contrast', numbers, 1, whole=True)
        settings.check_number('model.contrast.temperature', temperature, 0, ends='(]')
        settings.check_choice('model.contrast.admitted', admitted, ADMITTED)
        self.threshold = _threshold(admitted, confidence_threshold)
        bank = bank_settings(bank, dict(size=256, dim=dim, budget=64))
        self.bank = settings.build_part('bank', bank, 'ClassMemoryBank', num_classes=num_classes)
        self.check_bank_dim(dim, 'projection')
        self.projection = PixelProjection(width, dim, 0.0, norm_cfg, kernel_size=1)
        self.max_anchors, self.temperature = max_anchors, temperature
        self.admitted, self.pool = admitted, pool

    def forward(
        self, output: PixelOutput, truth: Tensor, draws: Sequence[Draw]
    ) -> Tuple[Tensor, Tensor]:
        """The loss, against the memory before this batch, which enters it then.

        Args:
            output (PixelOutput): Of the student, for the labelled images.
            truth (Tensor): ``(B, H, W)`` int64 ground truth.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.

        Returns:
            tuple[Tensor, Tensor]: The loss, and the ratio of the pixels that may be anchors.
        """
        output = output.pooled(self.pool)
        feature = unit(rows(self.projection(output.embedding)).float())
        pixels = self._candidates(output, truth, draws)
        index, class_id, chosen = self.anchors(pixels, draws)
        loss = summed_positives_contrast(
            feature[index],
            class_id,
            self.bank.features.clone(),  # the backward pass reads it after it was written to
            self.bank.filled,
            self.temperature,
            chosen,
            mean_over_ranks,
        )
        self.update(feature, pixels, len(draws))
        return loss, mean_over_ranks(pixels.valid.float().mean())

    def zero_loss(self, outputs: Sequence[PixelOutput]) -> Tensor:
        """See :func:`projected_zero_loss`."""
        return projected_zero_loss(self.projection, outputs)

    @torch.no_grad()
    def update(self, feature: Tensor, pixels: Candidates, num_images: int) -> None:
        """Enter the chosen pixels of every class, those of all ranks together.

        Args:
            feature (Tensor): ``(N, D)`` unit features.
            pixels (Candidates): Of the batch.
            num_images (int): Labelled images of this rank.
        """
        self.bank.update(feature, pixels.label, pixels.score, pixels.valid, num_images)

    @torch.no_grad()
    def anchors(self, pixels: Candidates, draws: Sequence[Draw]) -> Tuple[Tensor, Tensor, Tensor]:
        """Chosen pixels of every class; a random choice of all where they are too many.

        Args:
            pixels (Candidates): Of the batch.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Pixels ``(A,)`` int64, their classes ``(A,)`` int64, and
            which of them count ``(A,)`` bool.
        """
        classes, budget = self.bank.num_classes, self.bank.budget
        assert budget is not None
        index, chosen = select_per_class(
            pixels.label, pixels.score, pixels.valid, classes, min(budget, len(pixels.label))
        )
        class_id = torch.arange(classes, device=index.device).unsqueeze(1).expand_as(index)
        index, class_id, chosen = index.flatten(), class_id.flatten(), chosen.flatten()
        if len(index) > self.max_anchors:
            noise = noise_maps(draws[:1], 1, len(index), 'pixcon/anchors', index.device).flatten()
            kept = torch.where(chosen, noise, -1.0).topk(self.max_anchors).indices
            index, class_id, chosen = index[kept], class_id[kept], chosen[kept]
        return index, class_id, chosen

    @torch.no_grad()
    def _candidates(self, output: PixelOutput, truth: Tensor, draws: Sequence[Draw]) -> Candidates:
        predicted, confidence = pseudo_label(output.logits)
        size = (predicted.shape[1], predicted.shape[2])
        label, valid = admitted_pixels(
            downsample_nearest(truth, size).flatten(),
            predicted.flatten(),
            confidence.flatten(),
            self.bank.num_classes,
            self.admitted,
            self.threshold,
        )
        score = noise_maps(draws, *size, 'pixcon/pixels', label.device)
        return Candidates(label, valid, score.flatten())


def _threshold(admitted: str, given: Optional[float]) -> float:
    if given is None:
        return 0.95
    if admitted != 'confident':
        raise ValueError(
            "model.contrast.confidence_threshold is of admitted='confident', not of "
            f'{admitted!r}: remove it'
        )
    settings.check_number('model.contrast.confidence_threshold', given, 0, 1)
    return given
