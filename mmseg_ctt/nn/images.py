# Copyright (c) mmseg_ctt contributors.
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmseg.utils import SampleList
from torch import Tensor

from ..datasets.image_values import to_picture
from .augmentation.view import denormalize
from .padding import stacked_maps, unpadded_shapes, valid_at, valid_mask
from .rng import Draw, draws_of


class Images(NamedTuple):
    """Images of one source of a batch, and what is known of them.

    Attributes:
        image (Tensor): ``(B, C, H, W)``, normalised.
        samples (list[SegDataSample]): Their samples.
    """

    image: Tensor
    samples: SampleList

    @property
    def size(self) -> Tuple[int, int]:
        """``(H, W)``."""
        return self.image.shape[2], self.image.shape[3]

    @property
    def labels(self) -> Tensor:
        """``(B, H, W)`` int64 ground truth; only sources with masks have it."""
        return self.maps('gt_sem_seg')[:, 0]

    @property
    def tags(self) -> Tensor:
        """``(B, C)`` float32 image-level tags, 0 or 1 for every class of the data set.

        They are of the whole image, of which a crop may show less.

        Raises:
            ValueError: If a sample has none.
        """
        for sample in self.samples:
            if sample.get('gt_tags') is None:
                source = sample.metainfo.get('source')
                raise ValueError(
                    f'an image of the source {source} has no tags: set '
                    f'train_dataloader.dataset.{source}.type="TaggedImageDataset"'
                )
        return torch.stack([sample.gt_tags.label for sample in self.samples]).float()

    @property
    def draws(self) -> List[Draw]:
        """``(seed, draw number)`` of each image, from which its random numbers follow."""
        return draws_of(self.samples)

    def valid(self, size: Optional[Sequence[int]] = None) -> Optional[Tensor]:
        """``(B, H, W)`` bool, False in the padding and without data; None where all are True.

        Args:
            size (Sequence[int], optional): ``(h, w)`` of the mask. Defaults to None: that of the
                images.
        """
        valid = valid_mask(self.samples, self.image)
        return valid if size is None else valid_at(valid, size)

    def shapes(self) -> np.ndarray:
        """``(B, 2)`` int height and width of each image without its padding."""
        return np.minimum(unpadded_shapes(self.samples), self.size)

    def maps(self, name: str) -> Tensor:
        """``(B, C, H, W)`` maps that the pipeline has packed under ``name``, 0 in the padding.

        Args:
            name (str): Field of the samples, such as ``gt_sem_seg``.

        Raises:
            ValueError: If a sample has no such map.
        """
        for sample in self.samples:
            if sample.get(name) is None:
                source = sample.metainfo.get('source')
                raise ValueError(
                    f'an image of the source {source} has no map {name}, which the method reads: '
                    f'load and pack it in train_dataloader.dataset.{source}.pipeline'
                )
        return stacked_maps(self.samples, name, self.size)


def pictures_of(image: Tensor, preprocessor: Any) -> List[np.ndarray]:
    """Normalised images of any number of channels as pictures.

    Args:
        image (Tensor): ``(B, C, H, W)``, normalised.
        preprocessor (nn.Module): Data preprocessor; its mean, std and channel order.

    Returns:
        list[np.ndarray]: ``(H, W, 3)`` uint8, red, green, blue; see
        :func:`mmseg_ctt.datasets.image_values.to_picture`.
    """
    plain = denormalize(image.detach().float(), preprocessor) * 255
    pixels = plain.permute(0, 2, 3, 1).cpu().numpy()
    return [to_picture(image_pixels, rgb=pixels.shape[3] == 3) for image_pixels in pixels]
