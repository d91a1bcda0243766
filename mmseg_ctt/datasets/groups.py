# Copyright (c) mmseg_ctt contributors.
"""Groups of images that share classes, from an index that is computed once from their tags."""

from typing import List, Sequence

import numpy as np

from .permutation import keyed_permutation, mixed


class TagGroups:
    """Index of the images by their set of tags and by class, from which partners are drawn.

    Args:
        tags (np.ndarray): ``(N, C)`` of 0 and 1, tags of each image.
        group_size (int): Images of a group.

    Attributes:
        set_of (np.ndarray): ``(N,)`` number of the set of tags of each image.
        sets (list[np.ndarray]): Images of each set of tags, ascending.
        classes (list[np.ndarray]): Images of each class, ascending.
    """

    def __init__(self, tags: np.ndarray, group_size: int) -> None:
        self.tags, self.group_size = np.asarray(tags, dtype=bool), group_size
        packed = np.packbits(self.tags, axis=1)
        _, self.set_of = np.unique(packed, axis=0, return_inverse=True)
        self.set_of = self.set_of.reshape(-1)  # NumPy 2.0 gives a column
        order = np.argsort(self.set_of, kind='stable')
        self.sets = np.split(order, np.cumsum(np.bincount(self.set_of))[:-1])
        self.classes = [np.flatnonzero(column) for column in self.tags.T]

    def small_classes(self) -> List[int]:
        """Classes that have images, but fewer than a group."""
        return [k for k, images in enumerate(self.classes) if 0 < len(images) < self.group_size]

    def lonely(self) -> np.ndarray:
        """Images without any other that has the same tags or a class in common."""
        alone = np.array([len(images) == 1 for images in self.sets])[self.set_of]
        several = np.array([len(images) > 1 for images in self.classes])
        return np.flatnonzero(alone & ~(self.tags & several).any(axis=1))

    def partners(self, image: int, key: int, distinct: bool = True) -> List[int]:
        """The other images of a group.

        Images of the identical set of tags come first. Where they are too few, a class of the
        image is drawn, of those with as many images as a group if there are any, and images of
        this class fill the group.

        Args:
            image (int): First image of the group.
            key (int): All random choices follow from it.
            distinct (bool): Whether the images of a group are different ones, where there are
                enough. False: the partners are drawn with replacement, and may be the image
                itself. Defaults to True.

        Returns:
            list[int]: ``group_size - 1`` images; the image itself where there is no other.
        """
        same = self.sets[self.set_of[image]]
        number = self.group_size - 1
        if not distinct:
            pool = same if len(same) > 1 else self._of_drawn_class(image, key)
            return [int(pool[mixed(k, key) % len(pool)]) for k in range(number)]
        chosen = _some(same[same != image], number, mixed(0, key))
        if len(chosen) < number:
            pool = self._of_drawn_class(image, key)
            pool = pool[self.set_of[pool] != self.set_of[image]]
            chosen += _some(pool, number - len(chosen), mixed(1, key))
        chosen = chosen or [image]
        return [chosen[k % len(chosen)] for k in range(number)]

    def _of_drawn_class(self, image: int, key: int) -> np.ndarray:
        """Images of a drawn class of an image; those of its set where it has no class."""
        tagged = np.flatnonzero(self.tags[image])
        if not len(tagged):
            return self.sets[self.set_of[image]]
        sizes = np.array([len(self.classes[k]) for k in tagged])
        large = tagged[sizes >= self.group_size]
        tagged = large if len(large) else tagged[sizes == sizes.max()]
        return self.classes[tagged[mixed(2, key) % len(tagged)]]


def _some(pool: Sequence[int], number: int, key: int) -> List[int]:
    """``number`` different entries in an order that belongs to a key, or all of fewer."""
    size = len(pool)
    return [int(pool[keyed_permutation(k, size, key)]) for k in range(min(number, size))]
