# Copyright (c) mmseg_ctt contributors.
"""Maps of images from files, such as saliency or pseudo-labels, on their way to the model.

Steps of mmcv and mmseg treat all maps in ``seg_fields`` as masks: nearest neighbour, 255 where they
pad. A continuous map, such as saliency, must be interpolated and padded as the image is. Importing
this module extends the call of mmcv's transforms by that: for names in
``results['smooth_fields']``, the steps of :data:`RESAMPLING` are repeated with the same random
numbers and the map in the place of the image.
"""

import os.path as osp
import random
from functools import wraps
from typing import Any, Dict, Mapping, Optional, Sequence

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

# steps whose result differs between masks and images; others crop and flip both alike
RESAMPLING = (
    *('Resize', 'ResizeToMultiple', 'RandomRotate', 'RandomRotFlip'),
    *('Pad', 'RandomCutOut', 'CenterCrop'),
)


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
        suffix (str): Of the files. Defaults to '.png'.

    Raises:
        FileNotFoundError: In ``transform``, if a map is missing.
        ValueError: If there is no map or ``smooth`` names none of them; in ``transform``, if a map
            is of another size than the image, or not one channel of 8 bits.
    """

    def __init__(
        self, maps: Mapping[str, str], smooth: Sequence[str] = (), suffix: str = '.png'
    ) -> None:
        self.maps, self.suffix = dict(maps), suffix
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
        image = results['img_path']
        stem = results.get('stem') or osp.splitext(osp.basename(image))[0]
        path = osp.join(folder, f'{stem}{self.suffix}')
        if not osp.isfile(path):
            raise FileNotFoundError(f'LoadMaps.maps.{name}: {path} of the image {image} is missing')
        map_ = mmcv.imread(path, 'unchanged')
        if map_ is None or map_.ndim != 2 or map_.dtype != np.uint8:
            raise ValueError(f'LoadMaps.maps.{name}: {path} is not one channel of 8 bits')
        if map_.shape != results['img'].shape[:2]:
            raise ValueError(
                f'LoadMaps.maps.{name}: {path} is of {map_.shape} and its image of '
                f'{results["img"].shape[:2]} pixels (height, width); put LoadMaps directly behind '
                'LoadImageFromFile, or make the map again'
            )
        return map_

    def __repr__(self) -> str:
        return f'LoadMaps(maps={self.maps}, smooth={self.smooth}, suffix={self.suffix!r})'


def _append(results: Dict[str, Any], key: str, name: str) -> None:
    fields = results.setdefault(key, [])
    if name not in fields:
        fields.append(name)


_call = BaseTransform.__call__


@wraps(_call)
def _call_with_smooth_maps(self: BaseTransform, results: Any) -> Optional[Any]:
    """``BaseTransform.__call__`` of mmcv, which treats smooth maps as the image."""
    smooth = results.get('smooth_fields') if isinstance(results, dict) else None
    if not smooth or type(self).__name__ not in RESAMPLING:
        return _call(self, results)
    before = dict(results, smooth_fields=[], seg_fields=list(results['seg_fields']))
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    made = _call(self, results)
    for name in smooth:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        repeated = _call(self, dict(before, img=_as_image(before[name], before['img'])))
        image = repeated['img']
        made[name] = image if image.ndim == 2 else np.ascontiguousarray(image[..., 0])
    return made


def _as_image(map_: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The map with as many equal channels as the image has."""
    return map_ if image.ndim == 2 else np.repeat(map_[..., None], image.shape[2], axis=2)


BaseTransform.__call__ = _call_with_smooth_maps
