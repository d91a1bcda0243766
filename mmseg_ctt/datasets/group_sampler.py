# Copyright (c) mmseg_ctt contributors.
import logging
from functools import lru_cache
from typing import Callable, List, Mapping, Optional, Protocol, Sequence

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATA_SAMPLERS

from .checks import KEY as DATASET
from .groups import TagGroups
from .permutation import mixed
from .sampler import KEY, LabeledUnlabeledSampler
from .sources import TAGGED

SMALLEST = 2  # images of a group
NAMED = 5  # classes that a warning names


class HasTags(Protocol):
    """What the sampler reads of a data set."""

    @property
    def num_images(self) -> Mapping[str, int]:
        """Number of images by source."""

    @property
    def metainfo(self) -> Mapping[str, Sequence[str]]:
        """With ``classes``, for messages."""

    def tag_matrix(self, source: str) -> np.ndarray:
        """``(N, C)`` of 0 and 1: tags of the images of a source."""


@DATA_SAMPLERS.register_module()
class GroupSampler(LabeledUnlabeledSampler):
    """Infinite stream of groups of tagged images that share classes.

    It is a :class:`LabeledUnlabeledSampler` in which the tagged images of a period are a group:
    with ``ratio=dict(tagged=3)`` every three draws. A batch, which is a multiple of the period,
    has whole groups, and so has every rank. Each image is the first of a group once an epoch; its
    partners have the identical set of tags, or share a drawn class with it where such images are
    too few. They come from an index of the tags (:class:`TagGroups`) and from (seed, number of the
    group), so that the stream can begin anywhere at no cost.

    The released code tries random pairs up to 1000 times before it accepts a shared class, and
    never draws the first and the last image as a partner; the index needs neither.

    Args:
        dataset (LabeledUnlabeledDataset): With ``num_images``, ``tag_matrix`` and ``metainfo``.
        ratio (dict[str, int]): Images a period, by source. ``tagged`` is the size of a group.
        seed (int, optional): Defaults to None: agreed on by all ranks.
        shuffle (bool): Whether to shuffle in every epoch. Defaults to True.
        distinct (bool): Whether the images of a group are different ones, where there are enough.
            False draws partners with replacement, the image itself among them (released code).
            Defaults to True.

    Raises:
        ValueError: As in :class:`LabeledUnlabeledSampler`, and for a group of fewer than two.
    """

    def __init__(
        self,
        dataset: HasTags,
        ratio: Optional[Mapping[str, Optional[int]]] = None,
        seed: Optional[int] = None,
        shuffle: bool = True,
        distinct: bool = True,
    ) -> None:
        super().__init__(dataset, ratio, seed, shuffle)
        self.group_size = self.ratio.get(TAGGED, 0)
        if self.group_size < SMALLEST:
            raise ValueError(
                f'{KEY}={ratio}: {TAGGED} is the size of a group of GroupSampler, at least '
                f'{SMALLEST}, such as ratio=dict({TAGGED}=3)'
            )
        groups = TagGroups(dataset.tag_matrix(TAGGED), self.group_size)
        _warn_of_repeats(groups, dataset.metainfo.get('classes') or ())
        self._partners: Callable[[int, int], List[int]] = lru_cache(maxsize=16)(
            lambda image, key: groups.partners(image, key, distinct)
        )

    def _position(self, name: str, number: int) -> int:
        """See the base; of the tagged source, the first of a group or one of its partners."""
        if name != TAGGED:
            return super()._position(name, number)
        group, offset = divmod(number, self.group_size)
        first = super()._position(name, group)
        # apart from the keys of the permutations, which are hashes of small numbers
        key = mixed(~group, self.seed)
        return self._partners(first, key)[offset - 1] if offset else first


def _warn_of_repeats(groups: TagGroups, names: Sequence[str]) -> None:
    """One line each for classes, and for images, that are too few for a group."""
    small = groups.small_classes()
    if small:
        counts = [f'{names[k] if names else k} ({len(groups.classes[k])})' for k in small[:NAMED]]
        more = f' and {len(small) - NAMED} more' if len(small) > NAMED else ''
        print_log(
            f'{DATASET}.{TAGGED}: the classes {", ".join(counts)}{more} have fewer images than a '
            f'group of {groups.group_size}: groups use another class of these images, or repeat '
            f'images. Add images of the class, or set {KEY}.{TAGGED} to less',
            'current',
            logging.WARNING,
        )
    lonely = len(groups.lonely())
    if lonely:
        print_log(
            f'{DATASET}.{TAGGED}: {lonely} images share no class with any other, so each is its '
            'own partner and learns nothing from a group',
            'current',
            logging.WARNING,
        )
