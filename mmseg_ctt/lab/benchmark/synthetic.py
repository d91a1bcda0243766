# Copyright (c) mmseg_ctt contributors.
"""Random images and labels, for machines without the data set."""

from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from ...datasets.map_steps import add_maps
from ...datasets.sample_tags import with_tags
from ...datasets.sources import LABELED, UNLABELED, has_tags, locate, needs_masks, source_names
from ...engine.map_steps import method_steps
from ...methods.registry import registered_methods

BLOCK = 16  # side of a patch of one class, pixels
NUM_IMAGES = 64  # of each source


@DATASETS.register_module()
class SyntheticSegDataset(Dataset):
    """Data set of noise with labels in blocks, by source as :class:`LabeledUnlabeledDataset`.

    Args:
        num_classes (int): Number of classes.
        size (Sequence[int]): Height and width of an image, pixels.
        masked (dict[str, bool], optional): Names of the sources, in order, and whether their
            images have masks. Defaults to ``dict(labeled=True, unlabeled=False)``.
        num_images (int): Images of each source. Defaults to 64.
        channels (int): Of an image. Defaults to 3.
        tagged (Sequence[str]): Names of the sources whose images have tags. Defaults to ().
        maps (Sequence[str]): Names of further maps of the images with tags: ``pseudo_label`` are
            labels, others noise in [0, 1]. Defaults to ().
        map_steps (dict[str, list[dict]], optional): Steps that make the maps which the method
            reads, by source. Defaults to None: none.
    """

    def __init__(
        self,
        num_classes: int,
        size: Sequence[int],
        masked: Optional[Mapping[str, bool]] = None,
        num_images: int = NUM_IMAGES,
        channels: int = 3,
        tagged: Sequence[str] = (),
        maps: Sequence[str] = (),
        map_steps: Optional[Mapping[str, Sequence[dict]]] = None,
    ) -> None:
        self.metainfo = dict(
            classes=tuple(f'class{k}' for k in range(num_classes)),
            palette=[[k % 256] * 3 for k in range(num_classes)],
        )
        self.num_classes, self.size, self.channels = num_classes, tuple(size), channels
        self.masked = dict(masked or {LABELED: True, UNLABELED: False})
        self.num_images = dict.fromkeys(self.masked, num_images)
        self.tagged, self.maps = tuple(tagged), tuple(maps)
        self.map_steps = {
            source: [TRANSFORMS.build(step) for step in steps]
            for source, steps in (map_steps or {}).items()
        }

    def __len__(self) -> int:
        return sum(self.num_images.values())

    def __getitem__(self, draw: Any) -> dict:
        """Sample of an index or draw: ``inputs`` uint8 ``(C, H, W)`` and ``data_samples``."""
        index, number, seed = draw if isinstance(draw, tuple) else (draw, draw, 0)
        source, _ = locate(index, self.num_images)
        random = torch.Generator().manual_seed(number)
        sample = SegDataSample(
            metainfo=dict(
                source=source,
                draw=(seed, number),
                img_shape=self.size,
                ori_shape=self.size,
                pad_shape=self.size,
            )
        )
        if self.masked[source]:
            sample.gt_sem_seg = PixelData(data=self._label(random))
            add_maps(sample, self.map_steps.get(source, ()), num_classes=self.num_classes)
        if source in self.tagged:
            self._add_tags(sample, random)
        shape = (self.channels, *self.size)
        image = torch.randint(256, shape, generator=random, dtype=torch.uint8)
        return dict(inputs=image, data_samples=sample)

    def tag_matrix(self, name: str) -> np.ndarray:
        """Tags of the images of a source, of which each draw has others; see :meth:`_add_tags`."""
        assert name in self.tagged
        return np.ones((self.num_images[name], self.num_classes), np.uint8)

    def _add_tags(self, sample: SegDataSample, random: torch.Generator) -> None:
        """Tags of all classes of a label but class 0, and the maps."""
        label = self._label(random)
        tags = [k for k in label.unique().tolist() if k]
        with_tags(dict(data_samples=sample), tags, self.num_classes)
        for name in self.maps:
            noise = torch.rand(label.shape, generator=random)
            data = label.byte() if name == 'pseudo_label' else noise
            sample.set_data({name: PixelData(data=data)})

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
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if hook and hook['type'] == 'PseudoLabelHook':  # it reads masks of the real images
            cfg.default_hooks[name] = None
        if hook and hook['type'] == 'DistributionAlignmentHook':  # it would count in these masks
            hook.setdefault('frequency', [1.0] * head.num_classes)
    real = cfg.train_dataloader.dataset
    masked = {name: needs_masks(name, real[name]) for name in source_names(real)}
    cfg.train_dataloader.dataset = dict(
        type='SyntheticSegDataset',
        num_classes=head.num_classes,
        size=tuple(size),
        masked=masked or None,
        tagged=[name for name in masked if has_tags(real[name])],
        maps=registered_methods()[cfg.model.type].reads_maps if 'segmentor' in cfg.model else (),
        channels=len((segmentor.get('data_preprocessor') or {}).get('mean') or (0, 0, 0)),
        map_steps=method_steps(cfg.model),
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
