# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import downsample_nearest, draw_per_class, pixels_by_class
from ...nn import settings
from ...nn.class_means import class_means
from ...nn.heads import main_head
from ...nn.member import PixelOutput
from ...nn.projection import PixelProjection, rows
from ...nn.pseudo_label import PseudoLabel
from ...nn.rng import Draw, noise_maps
from .functional import draw_classes, negative_class_probability, regional_contrast


class Pixels(NamedTuple):
    """Pixels of a batch at the resolution of the contrast, labelled images first.

    Attributes:
        label (Tensor): ``(N,)`` int64, truth or pseudo-label; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool, labelled, or confident enough to take part.
        hard (Tensor): ``(N,)`` bool, those of them that may be queries.
    """

    label: Tensor
    valid: Tensor
    hard: Tensor


class RegionalContrast(nn.Module):
    """Regional contrast of the pixels of a batch, without a memory (ReCo).

    Args:
        num_classes (int): ``K``.
        width (int): Of the embedding that the projection reads.
        dim (int): ``D``, width of the representation. Defaults to 256 (released code).
        num_queries (int): ``Q``, of each class, on each rank. Defaults to 256 (released code).
        num_negatives (int): ``M``, keys of each query. Defaults to 512 (released code).
        temperature (float): Of the loss and of the likeness of classes. Defaults to 0.5 (released
            code).
        weak_threshold (float): Confidence from which an unlabelled pixel takes part. Defaults to
            0.7 (released code).
        strong_threshold (float): Probability of its class below which a pixel is a query. Defaults
            to 0.97 (released code).
        pool (int): Average pooling of embeddings and logits before the contrast, for heads at
            stride 4. Defaults to 1, none.
        dropout (float): Of the projection. Defaults to 0 (released code).
        norm_cfg (dict, optional): See :class:`PixelProjection`; the segmentor gives its head's.
            Defaults to None.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is out of range.
    """

    sections = dict(forward='contrast')  # for benchmarks

    def __init__(
        self,
        num_classes: int,
        width: int,
        dim: int = 256,
        num_queries: int = 256,
        num_negatives: int = 512,
        temperature: float = 0.5,
        weak_threshold: float = 0.7,
        strong_threshold: float = 0.97,
        pool: int = 1,
        dropout: float = 0.0,
        norm_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__()
        numbers = dict(dim=dim, num_queries=num_queries, num_negatives=num_negatives, pool=pool)
        settings.check_numbers('model.contrast', numbers, 1, whole=True)
        ratios = dict(weak_threshold=weak_threshold, strong_threshold=strong_threshold)
        settings.check_numbers('model.contrast', ratios, 0, 1)
        settings.check_number('model.contrast.temperature', temperature, 0, ends='(]')
        self.num_classes, self.num_queries, self.num_negatives = (
            num_classes,
            num_queries,
            num_negatives,
        )
        self.temperature, self.pool = temperature, pool
        self.weak_threshold, self.strong_threshold = weak_threshold, strong_threshold
        self.projection = PixelProjection(width, dim, dropout, norm_cfg)

    @classmethod
    def of(cls, model: Any, given: Optional[Mapping[str, Any]]) -> Optional['RegionalContrast']:
        """The contrast of a method; None where its weight is 0.

        Args:
            model (SemiSegmentor): Gives loss weights, classes and width of the embedding.
            given (Mapping, optional): ``model.contrast`` of the config.

        Raises:
            TypeError: If settings are no dict.
            ValueError: For unknown settings, of a contrast that is off too.
        """
        if not model.weights['contrast']:
            settings.check_part('contrast', given, cls)
            return None
        defaults = dict(norm_cfg=main_head(model.students[0]).norm_cfg)
        sizes = dict(num_classes=model.num_classes, width=model.embedding_width)
        return settings.build_part('contrast', given, cls, defaults, **sizes)

    def forward(
        self,
        outputs: Sequence[PixelOutput],
        truth: Tensor,
        target: PseudoLabel,
        draws: Sequence[Draw],
    ) -> Tensor:
        """The loss.

        Its mean over several ranks is that of one process with all pixels, up to the queries and
        negative keys that are drawn, which are pixels of a rank.

        Args:
            outputs (Sequence[PixelOutput]): Of the student, for labelled images and strong view.
            truth (Tensor): ``(B_l, H, W)`` int64 ground truth.
            target (PseudoLabel): ``(B_u, H, W)`` maps, mixed as the view.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)``; the random numbers of this
                rank follow from the first.

        Returns:
            Tensor: Scalar.
        """
        outputs = [output.pooled(self.pool) for output in outputs]
        embedding = torch.cat([out.embedding for out in outputs if out.embedding is not None])
        feature = rows(self.projection(embedding))
        pixels = self._pixels(outputs, truth, target)
        queries = self.num_classes * self.num_queries
        noise = noise_maps(
            draws[:1], queries, 1 + 2 * self.num_negatives, 'reco/draws', feature.device
        )
        noise = noise.view(self.num_classes, self.num_queries, -1)
        query, num_candidates = draw_per_class(
            pixels.label, pixels.hard, self.num_classes, noise[..., 0]
        )
        prototype, present, ratio = class_means(feature, pixels.label, pixels.valid, num_candidates)
        negative, able = self._negatives(pixels, prototype, noise[..., 1:])
        weight = ratio * able / present.sum().clamp(min=1)
        return regional_contrast(feature, query, prototype, negative, weight, self.temperature)

    @torch.no_grad()
    def _pixels(self, outputs: Sequence[PixelOutput], truth: Tensor, target: PseudoLabel) -> Pixels:
        """Labels of all pixels, and which of them take part."""
        prob = rows(torch.cat([output.logits.float() for output in outputs])).softmax(dim=1)
        size = outputs[0].logits.shape[2:]
        truth, pseudo, confidence = (
            downsample_nearest(map_, size) for map_ in (truth, target.label, target.confidence)
        )
        label = torch.cat([truth, pseudo]).flatten()
        kept = torch.cat([torch.ones_like(truth, dtype=torch.bool), self._weak(confidence)])
        valid = kept.flatten() & (label >= 0) & (label < self.num_classes)
        own = prob.gather(1, label.masked_fill(~valid, 0).unsqueeze(1)).squeeze(1)
        return Pixels(label, valid, valid & (own < self.strong_threshold))

    def _weak(self, confidence: Tensor) -> Tensor:
        return (confidence >= self.weak_threshold) & (confidence > 0)  # 0 in the padding

    @torch.no_grad()
    def _negatives(self, pixels: Pixels, prototype: Tensor, noise: Tensor) -> Tuple[Tensor, Tensor]:
        """Negative keys ``(K, Q, M)``, and which classes have any ``(K,)``."""
        by_class = pixels_by_class(pixels.label, pixels.valid, self.num_classes)
        probability = negative_class_probability(prototype, by_class.number > 0, self.temperature)
        class_noise, pixel_noise = noise.chunk(2, dim=2)
        class_id = draw_classes(probability, class_noise.flatten(1)).view(class_noise.shape)
        return by_class.draw(class_id, pixel_noise), probability.sum(1) > 0
