# Copyright (c) mmseg_ctt contributors.
from typing import List, NamedTuple, Optional, Tuple

import torch
from mmseg.utils import SampleList
from torch import Tensor

from .padding import valid_mask
from .rng import Draw, draws_of


class Images(NamedTuple):
    """Images of one source of a batch, and what is known of them.

    Attributes:
        image (Tensor): ``(B, 3, H, W)``, normalised.
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
        return self.maps('gt_sem_seg')

    @property
    def draws(self) -> List[Draw]:
        """``(seed, draw number)`` of each image, from which its random numbers follow."""
        return draws_of(self.samples)

    def valid(self) -> Optional[Tensor]:
        """``(B, H, W)`` bool, False in the padding; None where nothing was padded."""
        return valid_mask(self.samples, self.image)

    def maps(self, name: str) -> Tensor:
        """``(B, ...)`` maps that the pipeline has packed under ``name``.

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
        return torch.cat([sample.get(name).data for sample in self.samples])
