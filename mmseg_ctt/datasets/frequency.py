# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from .label_check import class_pixels
from .sources import LABELED, build_source, ignored_id, source_config
from .transforms import CheckedLoadAnnotations
from .wrappers import AnySet, distinct_infos, with_pipeline


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

    Raises:
        ValueError: Naming a mask and what is wrong with it.
    """
    dataset = source(cfg, LABELED)
    num_classes = len(dataset.metainfo['classes'])
    ignored = ignored_id({LABELED: dataset})
    load = CheckedLoadAnnotations(num_classes, ignored)
    rows = [
        np.append(class_pixels(mask, num_classes, ignored)[:num_classes], mask.size)
        for mask in (load(info)['gt_seg_map'] for info in distinct_infos(dataset))
    ]
    counts = np.array(rows, np.int64).reshape(len(rows), num_classes + 1)
    counts, sizes = counts[:, :-1], counts[:, -1:]
    shown = (counts > 0) & (counts >= min_area * sizes)
    return Frequency(torch.from_numpy(counts.sum(0)), torch.from_numpy(shown.sum(0)))
