# Copyright (c) mmseg_ctt contributors.
"""Groups of images with common tags, which refine one another's class maps (Group-WSSS)."""

from pathlib import Path
from typing import Any, Callable, List, Sequence, Union

import numpy as np
import torch
from mmengine.config import Config

from ...datasets.groups import TagGroups
from ...datasets.permutation import mixed
from ..api import load_model
from ..checkpoint import load_network
from .images import TaggedImage

SEED = 0
PartnersOf = Callable[[TaggedImage], List[List[str]]]


def load_group_model(
    config: Config, checkpoint: Union[str, Path], device: Union[str, torch.device] = 'cpu'
) -> Any:
    """The whole model of a run whose class maps other images refine, with its graph.

    Args:
        config (Config): Of the run.
        checkpoint (str | Path): File or URL.
        device (str | torch.device): Defaults to 'cpu'.

    Returns:
        nn.Module: In eval mode, with ``cfg`` and ``dataset_meta`` as of :func:`load_model`.

    Raises:
        ValueError: If the model has no groups.
    """
    single = load_model(config, checkpoint, device='cpu')
    model = load_network(single.cfg, checkpoint, device)
    if not hasattr(model, 'group_class_maps'):
        raise ValueError(
            f'groups refine class maps of GroupSemanticMining alone, and the model is '
            f'{type(model).__name__}: leave --groups out'
        )
    model.cfg, model.dataset_meta = single.cfg, single.dataset_meta
    return model


def partners_of(
    model: Any, images: Sequence[TaggedImage], number: int, num_classes: int
) -> PartnersOf:
    """Files of the other images of the groups that an image is in.

    They are those of :class:`TagGroups`, and follow from the images and their tags alone.

    Args:
        model (BaseSegmentor): With ``group_size`` where there are groups.
        images (Sequence[TaggedImage]): All images that may be partners.
        number (int): Groups of each image; 0: none.
        num_classes (int): Of the data set.

    Returns:
        Callable: From an image to the files of each group.

    Raises:
        ValueError: If an image has no tags to find partners by.
    """
    if not number:
        return lambda image: []
    unknown = [image.path for image in images if image.tags is None]
    if unknown:
        raise ValueError(
            f'{len(unknown)} images have no tags, such as {unknown[0]}, so that they cannot be '
            'grouped: give a source with tags, or leave --groups out'
        )
    tags = np.zeros((len(images), num_classes), np.uint8)
    for row, image in zip(tags, images):
        row[list(image.tags or ())] = 1
    groups = TagGroups(tags, model.group_size)
    index = {image.stem: i for i, image in enumerate(images)}

    def partners(image: TaggedImage) -> List[List[str]]:
        first = index[image.stem]
        keys = [mixed(first, mixed(group, SEED)) for group in range(number)]
        return [[images[j].path for j in groups.partners(first, key)] for key in keys]

    return partners
