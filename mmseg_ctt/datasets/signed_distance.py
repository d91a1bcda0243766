# Copyright (c) mmseg_ctt contributors.
"""Signed distance maps of label maps, made in the loader."""

from typing import Any, Dict, List, Optional, Union

import numpy as np
from mmseg.registry import TRANSFORMS
from scipy import ndimage

from .map_steps import MapStep

AUTO = 'auto'
EMPTY = ('ones', 'zeros')
BOUNDARY = ('inside', 'zero')
IGNORED = 255  # id of ignored pixels where the results do not say


def signed_distance(
    foreground: np.ndarray,
    known: Optional[np.ndarray] = None,
    empty: str = 'ones',
    boundary: str = 'inside',
) -> np.ndarray:
    """Normalised signed distance to the border of an object; negative inside.

    A pixel inside has minus its Euclidean distance to the nearest pixel outside, over the largest
    such distance; a pixel outside the same with a plus (Xue et al. 2020; DTC, section 3). Where
    there is nothing outside, the map is -1.

    Pixels that are not known belong to neither side: distances pass through them, and their own
    value is 0.

    Args:
        foreground (np.ndarray): Bool or 0 and 1, any number of dimensions.
        known (np.ndarray, optional): Bool of the same shape. Defaults to None: all.
        empty (str): Map without an object: ``'ones'``: 1, the largest distance (ours);
            ``'zeros'``: 0, which is the border (released code). Defaults to 'ones'.
        boundary (str): Pixels of the object beside a pixel outside: ``'inside'``: their distance,
            so that the sign is the label at every pixel (ours); ``'zero'``: 0, so that an object
            of such pixels alone is 0 everywhere (released code). Defaults to 'inside'.

    Returns:
        np.ndarray: float64 of the same shape, in [-1, 1].

    Raises:
        ValueError: For an unknown ``empty`` or ``boundary``.

    Example:
        >>> signed_distance(np.array([0, 0, 0, 1, 1, 1, 1, 1]))[2:7].round(2)
        array([ 0.33, -0.2 , -0.4 , -0.6 , -0.8 ])
    """
    _check(empty=empty, boundary=boundary)
    known = np.ones(foreground.shape, bool) if known is None else known.astype(bool)
    inside = foreground.astype(bool) & known
    outside = known & ~inside
    made = np.zeros(foreground.shape)
    if not inside.any():
        made[outside] = 1.0 if empty == 'ones' else 0.0
    elif not outside.any():
        made[inside] = -1.0
    else:
        made[outside] = _depth(outside, inside)
        made[inside] = -_depth(inside, outside)
        if boundary == 'zero':
            cross = ndimage.generate_binary_structure(foreground.ndim, 1)
            made[inside & ndimage.binary_dilation(outside, cross)] = 0.0
    return made


def _depth(pixels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each of ``pixels`` to the nearest of ``others``, over the largest of them."""
    distance = ndimage.distance_transform_edt(~others)[pixels]
    return distance / distance.max()


def _check(**given: str) -> None:
    for name, known in (('empty', EMPTY), ('boundary', BOUNDARY)):
        if given[name] not in known:
            raise ValueError(
                f'signed distances: {name} must be one of {known}, got {given[name]!r}'
            )


@TRANSFORMS.register_module()
class GenerateSignedDistance(MapStep):
    """Signed distance maps of the classes, see :func:`signed_distance`.

    The step belongs behind all geometric steps: distances are normalised to those of the crop.
    Ignored pixels belong to no class, and their value is 0.

    Required Keys:

    - gt_seg_map (np.ndarray): ``(H, W)`` integers.
    - num_classes, ignore_index (optional)

    Added Keys:

    - signed_distance (np.ndarray): ``(H, W, C)`` float32, classes in their order.
    - seg_fields

    Args:
        background (int | str, optional): Class that gets no map; None: every class has one;
            ``'auto'``: class 0 of two classes, none of more. Defaults to 'auto'.
        empty (str): Map of a class without a pixel, see :func:`signed_distance`.
            Defaults to 'ones'.
        boundary (str): Border of a class, see :func:`signed_distance`. Defaults to 'inside'.
        num_classes (int, optional): Number of classes. Defaults to None: ``num_classes`` of the
            results, which :class:`LabeledUnlabeledDataset` sets.

    Raises:
        ValueError: For an unknown ``empty`` or ``boundary``, a background that is no class, or no
            class besides it; in ``transform``, if the number of classes is not known.
    """

    maps = ('signed_distance',)

    def __init__(
        self,
        background: Union[int, str, None] = AUTO,
        empty: str = 'ones',
        boundary: str = 'inside',
        num_classes: Optional[int] = None,
    ) -> None:
        _check(empty=empty, boundary=boundary)
        number = isinstance(background, int) and background >= 0
        if not number and background not in (None, AUTO):
            raise ValueError(
                f'signed distances: background must be a class, {AUTO!r} or None, got '
                f'{background!r}'
            )
        self.background, self.empty, self.boundary = background, empty, boundary
        self.num_classes = num_classes
        if num_classes is not None:
            self.classes(num_classes)

    def classes(self, num_classes: int) -> List[int]:
        """Classes that have a map, in the order of the maps.

        Args:
            num_classes (int): Number of classes.

        Raises:
            ValueError: If the background is none of them, or there is no other.
        """
        background = self.background
        if background == AUTO:
            background = 0 if num_classes == 2 else None
        if isinstance(background, int) and background >= num_classes:
            raise ValueError(
                f'signed distances: background={background} is none of {num_classes} classes'
            )
        found = [k for k in range(num_classes) if k != background]
        if not found:
            raise ValueError(
                'signed distances: there is no class besides the background; set background=None'
            )
        return found

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Add the maps.

        Args:
            results (dict): Of the steps before.

        Returns:
            dict: The same with ``signed_distance``.
        """
        num_classes = self.num_classes or results.get('num_classes')
        if num_classes is None:
            raise ValueError(
                'GenerateSignedDistance does not know the number of classes: set its num_classes'
            )
        label = results['gt_seg_map']
        known = label != results.get('ignore_index', IGNORED)
        made = [
            signed_distance(label == k, known, self.empty, self.boundary)
            for k in self.classes(num_classes)
        ]
        self.add(results, 'signed_distance', np.stack(made, axis=-1).astype(np.float32))
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(background={self.background!r}, empty={self.empty!r}, '
            f'boundary={self.boundary!r}, num_classes={self.num_classes})'
        )
