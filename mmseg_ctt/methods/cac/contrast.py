# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import pseudo_label
from ...functional.device_memory import elements_at_a_time
from ...functional.precision import full_precision
from ...functional.unit import unit
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.memory_contrast import MemoryContrast
from ...nn.projection import projected_zero_loss
from ...nn.ranks import mean_over_ranks
from ...nn.rng import Draw, noise_maps
from .bank import NONE, RecentPixelBank
from .crops import Crop
from .functional import CHUNK_ELEMENTS, matching_pixels, pixel_contrast


class CropPixels(NamedTuple):
    """Pixels of one crop of each image, as they lie in the whole images.

    Attributes:
        feature (Tensor): ``(B, n, D)`` unit features.
        label (Tensor): ``(B, n)`` int64, the class that the student gives.
        confidence (Tensor): ``(B, n)`` float32; 0 in the padding.
    """

    feature: Tensor
    label: Tensor
    confidence: Tensor

    def at(self, index: Tensor) -> 'CropPixels':
        """Pixels ``(B, m)`` by their numbers."""
        rows = index.unsqueeze(2).expand(-1, -1, self.feature.shape[2])
        label, confidence = (map_.gather(1, index) for map_ in self[1:])
        return CropPixels(self.feature.gather(1, rows), label, confidence)


class DirectionalContrast(MemoryContrast):
    """Directional contrast of the pixels that two crops share (CAC section 3.3).

    Args:
        num_classes (int): ``K``.
        width (int): Of the embedding that the projection reads.
        bank (dict, optional): Settings of :class:`RecentPixelBank`.
        dim (int): ``D``, width of the projection. Defaults to 128 (released code).
        temperature (float): Defaults to 0.1 (released code).
        positive_threshold (float): Confidence that the more confident pixel must exceed to be a
            positive, in [0, 1]. Defaults to 0.75 (released code).
        pool (int): Average pooling of embeddings and logits before the contrast, for heads at
            stride 4. Defaults to 1, none (released code: 2).
        epsilon (float): See :func:`pixel_contrast`. Defaults to 0 (released code: 1e-8).
        chunk_elements (int, optional): Similarities of pixels and bank entries that are held at a
            time, see :func:`elements_at_a_time`. Defaults to None: by the device.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is out of range.
    """

    bank: RecentPixelBank  # type: ignore[assignment]  # of no classes
    bank_part = RecentPixelBank
    waits = False
    required_hooks = {}

    def __init__(
        self,
        num_classes: int,
        width: int,
        bank: Optional[dict],
        dim: int = 128,
        temperature: float = 0.1,
        positive_threshold: float = 0.75,
        pool: int = 1,
        epsilon: float = 0.0,
        chunk_elements: Optional[int] = None,
    ) -> None:
        super().__init__()
        settings.check_numbers('model.contrast', dict(dim=dim, pool=pool), 1, whole=True)
        settings.check_number('model.contrast.epsilon', epsilon, 0, 1)
        if chunk_elements is not None:
            settings.check_number('model.contrast.chunk_elements', chunk_elements, 1, whole=True)
        settings.check_number('model.contrast.temperature', temperature, 0, ends='(]')
        settings.check_number('model.contrast.positive_threshold', positive_threshold, 0, 1)
        self.bank = settings.build_part('bank', bank, RecentPixelBank, dim=dim)
        self.projection = nn.Sequential(
            nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, dim, 1)
        )
        self.temperature, self.positive_threshold = temperature, positive_threshold
        self.pool, self.epsilon, self.chunk_elements = pool, epsilon, chunk_elements

    def forward(
        self, outputs: Sequence[PixelOutput], crops: Sequence[Crop], draws: Sequence[Draw]
    ) -> Tuple[Tensor, Tensor]:
        """The loss of both directions, against the present memory; the batch enters it before.

        Args:
            outputs (Sequence[PixelOutput]): Of the student, for both crops.
            crops (Sequence[Crop]): The two crops of each image.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.

        Returns:
            tuple[Tensor, Tensor]: The loss, and the ratio of the shared pixels that are pulled.

        Raises:
            ValueError: If the crops lie no whole number of features apart.
        """
        outputs = [output.pooled(self.pool) for output in outputs]
        size = (outputs[0].logits.shape[2], outputs[0].logits.shape[3])
        first, second = (self._pixels(*pair) for pair in zip(outputs, crops))
        self.update([first, second], draws)
        index, inside = matching_pixels(_shift(crops, size), size)
        directions, ratio = self.directions(first, second.at(index), inside)
        return directions.sum(), ratio

    def zero_loss(self, outputs: Sequence[PixelOutput]) -> Tensor:
        """See :func:`projected_zero_loss`."""
        return projected_zero_loss(self.projection, outputs)

    @torch.no_grad()
    def update(self, crops: Sequence[CropPixels], draws: Sequence[Draw]) -> None:
        """Enter pixels of both crops into the memory, a random choice where they are too many.

        Args:
            crops (Sequence[CropPixels]): ``(B, n)`` pixels of either crop.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
        """
        feature, label, confidence = (torch.stack(maps, dim=1) for maps in zip(*crops))
        label = label.masked_fill(confidence == 0, NONE)  # the padding
        score = noise_maps(draws, 2, label.shape[2], 'cac/bank', label.device)
        self.bank.update(*(map_.flatten(0, 1) for map_ in (feature, label, score)))

    def _pixels(self, output: PixelOutput, crop: Crop) -> CropPixels:
        """Projected features, labels and confidences of a crop."""
        feature = crop.unflipped(self.projection(output.embedding))
        label, confidence = (
            crop.unflipped(map_.unsqueeze(1)).flatten(1) for map_ in pseudo_label(output.logits)
        )
        valid = crop.valid_at((feature.shape[2], feature.shape[3]))
        if valid is not None:
            confidence = confidence * valid.flatten(1)
        feature = feature.flatten(2).transpose(1, 2)
        feature = full_precision(feature)
        return CropPixels(unit(feature), label, confidence)

    def directions(
        self, first: CropPixels, second: CropPixels, inside: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Loss of either direction: each pair of pixels is contrasted once.

        Args:
            first (CropPixels): ``(B, n)`` pixels of the first crop.
            second (CropPixels): The pixel of the second crop at the same place of the image.
            inside (Tensor): ``(B, n)`` bool, pixels that both crops have.

        Returns:
            tuple[Tensor, Tensor]: ``(2,)`` mean over the pixels of the first crop that go to the
            second, and over those of the second that go to the first; ratio of pixels that do.
        """
        shared = inside & (first.confidence > 0) & (second.confidence > 0)
        higher = torch.maximum(first.confidence, second.confidence)
        pulled = shared & (higher > self.positive_threshold)
        first_is_query = first.confidence < second.confidence
        second_is_query = second.confidence < first.confidence
        chosen = first_is_query.unsqueeze(2)
        loss = pixel_contrast(
            torch.where(chosen, first.feature, second.feature).flatten(0, 1),
            torch.where(chosen, second.feature, first.feature).detach().flatten(0, 1),
            torch.where(first_is_query, first.label, second.label).flatten(),
            self.bank.features,
            self.bank.labels,
            self.temperature,
            self.epsilon,
            self.chunk_elements or elements_at_a_time(first.feature.device, CHUNK_ELEMENTS),
        )
        masks = torch.stack([pulled & first_is_query, pulled & second_is_query]).flatten(1).float()
        counts = mean_over_ranks(torch.cat([masks.sum(1), shared.float().sum().view(1)]))
        ratio = counts[:2].sum() / counts[2].clamp(min=1e-12)
        return (masks * loss).sum(1) / counts[:2].clamp(min=1e-12), ratio


def _shift(crops: Sequence[Crop], size: Tuple[int, int]) -> Tensor:
    """Rows and columns of features from a pixel of the first crop to that of the second."""
    first, second = crops
    for side, cells in zip(first.images.size, size):
        if first.stride * cells % side:
            raise ValueError(
                f'model.crops.stride={first.stride} is no multiple of the stride of the contrasted '
                f'features, which is {side / cells:g}: set it to one (model.contrast.pool is '
                'part of that stride)'
            )
    shift = zip((first.corner - second.corner).unbind(1), size, first.images.size)
    parts = [torch.div(part * cells, side, rounding_mode='floor') for part, cells, side in shift]
    return torch.stack(parts, dim=1)
