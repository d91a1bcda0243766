# Copyright (c) mmseg_ctt contributors.
import copy
import os.path as osp
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import DATASETS
from torch import Tensor

from .labeled_unlabeled import without_masks


class Frequency(NamedTuple):
    """How often the labels show each class.

    Attributes:
        pixel (Tensor): ``(K,)`` int64 pixels.
        image (Tensor): ``(K,)`` int64 images.
    """

    pixel: Tensor
    image: Tensor


def source(cfg: Config, name: str) -> BaseDataset:
    """The labelled or the unlabelled set of a config, without a pipeline.

    Raises:
        ValueError: If the config has no such set.
    """
    train = cfg.train_dataloader.dataset
    if not train.get(name):
        raise ValueError(
            f'train_dataloader.dataset.{name} is missing: set '
            'train_dataloader.dataset.type="LabeledUnlabeledDataset" with both sets'
        )
    settings = copy.deepcopy(dict(train[name]))
    if train.get('split') is not None:
        settings['ann_file'] = osp.join(train['split'], f'{name}.txt')
    if name == 'unlabeled':
        settings = without_masks(settings)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(dict(settings, pipeline=[]))
    dataset.full_init()
    return dataset


def label_frequency(cfg: Config, min_area: float = 0.0) -> Frequency:
    """Count the classes of the labelled set.

    Args:
        cfg (Config): Of the run.
        min_area (float): Share of an image from which it shows a class. Defaults to 0.

    Returns:
        Frequency: Ignored pixels count nowhere.
    """
    dataset, load = source(cfg, 'labeled'), LoadAnnotations()
    num_classes = len(dataset.metainfo['classes'])
    counts = np.zeros((len(dataset), num_classes), np.int64)
    sizes = np.zeros((len(dataset), 1), np.int64)
    for i in range(len(dataset)):
        mask = load(dataset.get_data_info(i))['gt_seg_map']
        counts[i] = np.bincount(mask.ravel(), minlength=256)[:num_classes]
        sizes[i] = mask.size
    shown = (counts > 0) & (counts >= min_area * sizes)
    return Frequency(torch.from_numpy(counts.sum(0)), torch.from_numpy(shown.sum(0)))
