# Copyright (c) mmseg_ctt contributors.
"""Maps of images from files, such as saliency or pseudo-labels, on their way to the model.

Importing this module extends the call of mmcv's transforms, so that maps pass the geometric steps
of mmcv and mmseg as they must:

- Steps of mmseg treat all maps in ``seg_fields`` as masks: nearest neighbour, 255 where they pad.
  A continuous map, such as saliency, is interpolated as the image is, and 0 where they pad: for
  names in ``results['smooth_fields']`` the steps of :data:`SMOOTH_STEPS` are repeated with the same
  random numbers and the map in the place of the image.
- Steps of mmcv know one mask alone, ``gt_seg_map``: the steps of :data:`ONE_MASK_STEPS` are
  repeated with each other map in its place.
- The steps of :data:`REFUSED_STEPS` move image and mask alone; with further maps they are errors.

- Packing adds the map of pixels without data (:mod:`.nodata`), which no config names.

A step of one's own passes maps if it treats all ``seg_fields``, or is made of steps of mmseg.
"""

import copy
import os.path as osp
import random
from functools import wraps
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, CenterCrop, Pad, RandomFlip, Resize
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from ..weak_labels.map_files import read_ids
from .nodata import pack_nodata

# steps, by name, whose result differs between masks and images; others change both alike
SMOOTH_STEPS = (
    *('Resize', 'ResizeToMultiple', 'RandomFlip', 'RandomRotate', 'RandomRotFlip'),
    *('Pad', 'RandomCutOut', 'CenterCrop', 'SegRescale'),
)
ONE_MASK_STEPS = (Resize, RandomFlip, Pad, CenterCrop)  # these classes, not those derived from them
REFUSED_STEPS = ('Albu', 'BioMedical3DPad', 'BioMedical3DRandomCrop', 'BioMedical3DRandomFlip')
LABEL = 'gt_seg_map'


@TRANSFORMS.register_module()
class LoadMaps(BaseTransform):
    """Loads maps of the image, one file each, before the geometric steps.

    The map of the image ``a/b.jpg`` of a data set is ``<folder>/a/b.png``: one channel of 8 bits,
    of the size of the image. ``PackSemiSegInputs(maps=...)`` packs it.

    Required Keys:

    - img
    - img_path
    - stem (optional): of the image within its data set

    Added Keys:

    - <name> of each map
    - seg_fields, smooth_fields

    Args:
        maps (Mapping[str, str]): Folder of each map, by the name of the map.
        smooth (Sequence[str]): Names of continuous maps. They become float32 in [0, 1], and the
            geometric steps treat them as the image; others are class ids and stay uint8.
            Defaults to ().

    Raises:
        FileNotFoundError: In ``transform``, if a map is missing.
        ValueError: If there is no map or ``smooth`` names none of them; in ``transform``, if a map
            is of another size than the image, or not one channel of 8 bits.
    """

    def __init__(self, maps: Mapping[str, str], smooth: Sequence[str] = ()) -> None:
        self.maps = dict(maps)
        self.smooth = (smooth,) if isinstance(smooth, str) else tuple(smooth)
        unknown = [name for name in self.smooth if name not in self.maps]
        if not self.maps or unknown:
            raise ValueError(
                f'LoadMaps.smooth has {unknown}, which LoadMaps.maps does not load'
                if unknown
                else "LoadMaps.maps is empty: set it to dict(saliency='FOLDER')"
            )

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Load the maps of one image.

        Args:
            results (dict): Of the steps before.
        """
        for name, folder in self.maps.items():
            map_ = self._load(name, folder, results)
            if name in self.smooth:
                map_ = map_.astype(np.float32) / 255
                _append(results, 'smooth_fields', name)
            results[name] = map_
            _append(results, 'seg_fields', name)
        return results

    def _load(self, name: str, folder: str, results: Mapping[str, Any]) -> np.ndarray:
        image, what = results['img_path'], f'map LoadMaps.maps.{name}'
        stem = results.get('stem') or osp.splitext(osp.basename(image))[0]
        try:
            return read_ids(folder, stem, results['img'].shape[:2], what)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(
                f'{error} (of the image {image}; LoadMaps stands directly behind LoadImageFromFile)'
            ) from None

    def __repr__(self) -> str:
        return f'LoadMaps(maps={self.maps}, smooth={self.smooth})'


def _append(results: Dict[str, Any], key: str, name: str) -> None:
    fields = results.setdefault(key, [])
    if name not in fields:
        fields.append(name)


_call = BaseTransform.__call__


@wraps(_call)
def _call_with_maps(self: BaseTransform, results: Any) -> Optional[Any]:
    """``BaseTransform.__call__`` of mmcv for results with maps; see the head of this module."""
    fields = list(results.get('seg_fields') or ()) if isinstance(results, dict) else []
    maps = [name for name in fields if name != LABEL]
    if not maps:
        return _call(self, results)
    if isinstance(self, PackSegInputs):
        return pack_nodata(_call(self, results), results)
    kind = type(self).__name__
    if kind in REFUSED_STEPS and not _of_colours(self):
        raise ValueError(
            f'{kind} of the pipeline changes the image and its mask alone, and {", ".join(maps)} '
            'would not fit any more: use other steps of mmseg, such as RandomResize, RandomCrop, '
            'RandomFlip or RandomRotate'
        )
    smooth = [name for name in results.get('smooth_fields') or () if kind in SMOOTH_STEPS]
    masks = [name for name in maps if name not in smooth and type(self) in ONE_MASK_STEPS]
    if not smooth and not masks:
        return _call(self, results)
    before = dict(results, smooth_fields=[], seg_fields=[LABEL] * (LABEL in fields))
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    # without smooth maps, which some steps cannot treat as masks
    results['seg_fields'] = [name for name in fields if name not in smooth]
    made = _call(self, results)
    made['seg_fields'] = fields
    for name in (*smooth, *masks):
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        repeat = _as_image if name in smooth else _as_mask
        made[name] = repeat(self, name, before)
    return made


def _as_mask(step: BaseTransform, name: str, before: Dict[str, Any]) -> np.ndarray:
    """Result of a step for a map in the place of the mask."""
    return _call(step, {**before, LABEL: before[name]})[LABEL]


def _as_image(step: BaseTransform, name: str, before: Dict[str, Any]) -> np.ndarray:
    """Result of a step for a smooth map in the place of the image."""
    map_, image = before[name], before['img']
    whole = getattr(step, 'backend', None) == 'pillow'  # which takes 8 bits alone
    if whole:
        map_ = np.rint(map_ * 255).astype(np.uint8)
    if image.ndim == 3:  # as many equal channels as the image has
        map_ = np.repeat(map_[..., None], image.shape[2], axis=2)
    made = _call(_filling_zero(step), {**before, 'img': map_})['img']
    made = made if made.ndim == 2 else np.ascontiguousarray(made[..., 0])
    return made.astype(np.float32) / 255 if whole else made


def _filling_zero(step: BaseTransform) -> BaseTransform:
    """Copy of a step that pads or covers images with 0."""
    made = copy.copy(step)
    for key in ('pal_val', 'fill_in'):  # of RandomRotate and RandomCutOut
        if hasattr(step, key):
            setattr(made, key, 0)
    for key, inner in (('pad_val', 'img'), ('pad_cfg', 'pad_val')):  # of Pad and CenterCrop
        if isinstance(getattr(step, key, None), dict):
            setattr(made, key, {**getattr(step, key), inner: 0})
    return made


def _of_colours(step: BaseTransform) -> bool:
    """Whether a step of albumentations changes the values of the image alone."""
    parts = getattr(getattr(step, 'aug', None), 'transforms', None)
    image_only = [
        any(c.__name__ == 'ImageOnlyTransform' for c in type(p).__mro__) for p in parts or ()
    ]
    return bool(image_only) and all(image_only)


BaseTransform.__call__ = _call_with_maps
