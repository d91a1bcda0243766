# Copyright (c) mmseg_ctt contributors.
"""Checks of a model against the masks and the image-level tags of its training set."""

from typing import Any, Collection, List

import torch.nn as nn
from mmseg.models import EncoderDecoder

from ..datasets.checks import KEY
from ..datasets.sources import TAGGED, UNLABELED
from ..datasets.tag_checks import background_of
from ..methods.base import SemiSegmentor


def check_masks(model: nn.Module, drawn: Collection[str], masked: Collection[str]) -> None:
    """Check that mmseg's segmentor gets images with masks alone: it trains on all of a batch.

    Args:
        model (nn.Module): Of the run.
        drawn (Collection[str]): Sources of its batches.
        masked (Collection[str]): Sources whose images have masks.

    Raises:
        ValueError: If it gets images without masks.
    """
    without = [name for name in drawn if name not in masked]
    plain = getattr(type(model), 'loss', None) is EncoderDecoder.loss
    if without and plain:
        raise ValueError(
            f'model.type={type(model).__name__!r} learns from masks alone, and {KEY}.{without[0]} '
            'has none: set method="fixmatch" or another (docs/methods), or method="supervised" '
            'to train on the labelled images alone'
        )


def check_tags(model: nn.Module, dataset: Any) -> List[str]:
    """Check that the sources whose tags a model reads have tags, with the background it expects.

    Args:
        model (nn.Module): Of the run; a plain segmentor reads no tags.
        dataset (Dataset): Of training.

    Returns:
        list[str]: Warnings, one line each.

    Raises:
        ValueError: If tags are missing, or a head takes class 0 for the background and it is a
            tag, or the other way round.
    """
    if not isinstance(model, SemiSegmentor) or not hasattr(dataset, 'with_tags'):
        return []
    read = [TAGGED] * (TAGGED in model.sources) + [UNLABELED] * model.use_tags
    for name in read:
        if name in dataset.sources and name not in dataset.with_tags:
            setting = ', since model.use_tags=True' if name == UNLABELED else ''
            raise ValueError(
                f'{KEY}.{name} needs tags{setting}: set its type to TaggedImageDataset, and tags '
                "to a JSON or CSV file, 'folders' or 'masks'"
            )
        if name in dataset.sources:
            _check_background(model, dataset, name)
    if UNLABELED in dataset.with_tags and UNLABELED in model.sources and not model.use_tags:
        return [
            f'{KEY}.{UNLABELED} has tags, which are not used: set model.use_tags=True, or the type '
            'to FolderSegDataset'
        ]
    return []


def _check_background(model: nn.Module, dataset: Any, name: str) -> None:
    """Heads with maps of tags have as many as there are tags."""
    background = background_of(dataset.sources[name])
    for head in (part for part in model.modules() if hasattr(part, 'tags_of_maps')):
        if head.background and background is None:
            first = dataset.sources[name].metainfo['classes'][0]
            raise ValueError(
                f'decode_head.background=True, but class 0 of {KEY}.{name} is {first!r}: set '
                "decode_head.background=False, or add a class 'background' as the first"
            )
        if not head.background and background is not None:
            raise ValueError(
                f'decode_head.background=False, but class 0 of {KEY}.{name} is the background, '
                'which is no tag: set decode_head.background=True'
            )
