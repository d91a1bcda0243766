# Copyright (c) mmseg_ctt contributors.
from typing import Iterator, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmseg.datasets.transforms import LoadAnnotations
from torch import Tensor

from .sources import LABELED, build_source, source_config
from .wrappers import AnySet, leaves, with_pipeline


class Frequency(NamedTuple):
    """Class frequencies in the labels.

    Attributes:
        pixel (Tensor): ``(K,)`` int64, pixels of each class.
        image (Tensor): ``(K,)`` int64, images that show each class.
    """

    pixel: Tensor
    image: Tensor


def source(cfg: Config, name: str) -> AnySet:
    """One source of the training set of a config, without a pipeline.

    Args:
        cfg (Config): Of the run.
        name (str): Of the source, such as ``labeled``.

    Raises:
        FileNotFoundError: If its list does not exist.
        ValueError: If the config has no such source, or it has no image.
    """
    settings = with_pipeline(source_config(cfg.train_dataloader.dataset, name), [])
    with DefaultScope.overwrite_default_scope('mmseg'):
        return build_source(name, settings)


def label_frequency(cfg: Config, min_area: float = 0.0) -> Frequency:
    """Count the classes in the masks of the labelled source.

    Args:
        cfg (Config): Of the run.
        min_area (float): Ratio of an image's pixels from which the image shows a class. Defaults
            to 0.

    Returns:
        Frequency: Ignored pixels count nowhere.
    """
    dataset = source(cfg, LABELED)
    num_classes = len(dataset.metainfo['classes'])
    rows = [row for leaf in leaves(dataset) for row in _counts(leaf, num_classes)]
    counts = np.array(rows, np.int64).reshape(len(rows), num_classes + 1)
    counts, sizes = counts[:, :-1], counts[:, -1:]
    shown = (counts > 0) & (counts >= min_area * sizes)
    return Frequency(torch.from_numpy(counts.sum(0)), torch.from_numpy(shown.sum(0)))


def _counts(dataset: BaseDataset, num_classes: int) -> Iterator[np.ndarray]:
    """Pixels of each class in each mask, and last all pixels of the mask."""
    load = LoadAnnotations()  # it keeps the label shift of the first mask that it loads
    for i in range(len(dataset)):
        mask = load(dataset.get_data_info(i))['gt_seg_map']
        pixels = np.bincount(mask.ravel(), minlength=256)[:num_classes]
        yield np.append(pixels, mask.size)
