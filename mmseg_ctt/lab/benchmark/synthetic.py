# Copyright (c) mmseg_ctt contributors.
"""Random images and labels, for machines without the data set."""

from typing import Any, Iterator, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

BLOCK = 16  # side of a patch of one class, pixels


@DATASETS.register_module()
class SyntheticSegDataset(Dataset):
    """Data set of noise with labels in blocks, in the order of :class:`LabeledUnlabeledDataset`.

    Args:
        num_classes (int): Number of classes.
        size (Sequence[int]): Height and width of an image, pixels.
        num_labeled (int): Number of labelled images. Defaults to 64.
        num_unlabeled (int): Number of unlabelled images. Defaults to 64.
    """

    def __init__(
        self, num_classes: int, size: Sequence[int], num_labeled: int = 64, num_unlabeled: int = 64
    ) -> None:
        self.metainfo = dict(
            classes=tuple(f'class{k}' for k in range(num_classes)),
            palette=[[k % 256] * 3 for k in range(num_classes)],
        )
        self.num_classes, self.size = num_classes, tuple(size)
        self.num_labeled, self.num_unlabeled = num_labeled, num_unlabeled

    def __len__(self) -> int:
        return self.num_labeled + self.num_unlabeled

    def __getitem__(self, draw: Any) -> dict:
        """Sample of an index or draw: ``inputs`` uint8 ``(3, H, W)`` and ``data_samples``."""
        index, number, seed = draw if isinstance(draw, tuple) else (draw, draw, 0)
        labeled = index < self.num_labeled
        random = torch.Generator().manual_seed(number)
        sample = SegDataSample(
            metainfo=dict(
                source='labeled' if labeled else 'unlabeled',
                draw=(seed, number),
                img_shape=self.size,
                ori_shape=self.size,
                pad_shape=self.size,
            )
        )
        if labeled:
            sample.gt_sem_seg = PixelData(data=self._label(random))
        image = torch.randint(256, (3, *self.size), generator=random, dtype=torch.uint8)
        return dict(inputs=image, data_samples=sample)

    def _label(self, random: torch.Generator) -> torch.Tensor:
        height, width = self.size
        blocks = torch.randint(
            self.num_classes, (1, -(-height // BLOCK), -(-width // BLOCK)), generator=random
        )
        label = blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
        return label[:, :height, :width].contiguous()


def use_synthetic_data(cfg: Config) -> None:
    """Replace the training set of a config by one of the same image size and number of classes.

    Raises:
        ValueError: If the config has neither a size nor a crop.
    """
    segmentor = cfg.model.get('segmentor', cfg.model)
    head = segmentor.decode_head
    head = head[-1] if isinstance(head, (list, tuple)) else head
    size = (segmentor.get('data_preprocessor') or {}).get('size') or _crop_size(
        cfg.train_dataloader
    )
    if size is None:
        raise ValueError(
            '--synthetic needs the size of an image: set '
            'model.data_preprocessor.size or a RandomCrop in the pipeline'
        )
    cfg.train_dataloader.dataset = dict(
        type='SyntheticSegDataset', num_classes=head.num_classes, size=tuple(size)
    )


def _crop_size(node: Any) -> Optional[Tuple[int, int]]:
    return next((step['crop_size'] for step in _dicts(node) if 'crop_size' in step), None)


def _dicts(node: Any) -> Iterator[dict]:
    """All dicts of a config, outer ones first."""
    if isinstance(node, dict):
        yield node
    elif not isinstance(node, (list, tuple)):
        return
    for child in node.values() if isinstance(node, dict) else node:
        yield from _dicts(child)
