# Copyright (c) mmseg_ctt contributors.
"""Packing of samples that have more maps than the image and its labels."""

from typing import Any, Dict, Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSemiSegInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` with further maps of the image, such as distances or weights.

    A map is ``results[name]``, ``(H, W)`` or ``(H, W, C)``, of the size of the image, or of the
    labels, which are larger where a test resizes the image alone. A step that
    adds one before the geometric steps also adds its name to ``results['seg_fields']``: these steps
    then treat it as a mask (nearest neighbour). What they fill in, mostly 255, has the label 255
    too, so a loss leaves it out.

    Args:
        maps (Sequence[str]): Names of the maps that are packed. Defaults to ().
        *args: As of ``mmseg.datasets.PackSegInputs``.
        **kwargs: As of ``mmseg.datasets.PackSegInputs``.

    Raises:
        ValueError: In ``transform``, if a map is missing or of another size than the image.
    """

    def __init__(self, *args: Any, maps: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.maps = (maps,) if isinstance(maps, str) else tuple(maps)

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Pack the image, its labels and its maps.

        Args:
            results (dict): Of the steps before.

        Returns:
            dict: ``inputs`` and ``data_samples``; each map is ``data_samples.<name>.data``,
            ``(C, H, W)`` in its own dtype, float32 instead of float64.
        """
        packed = super().transform(results)
        for name in self.maps:
            data = as_tensor(name, results)
            packed['data_samples'].set_data({name: PixelData(data=data)})
        return packed

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, maps={self.maps})'


def as_tensor(name: str, results: Dict[str, Any]) -> torch.Tensor:
    """``(C, H, W)`` map from the results of a pipeline.

    Args:
        name (str): Of the map.
        results (dict): With the map, ``(H, W)`` or ``(H, W, C)``, and ``img``, its image.

    Raises:
        ValueError: If there is no such map, or it is of another size than the image.
    """
    if results.get(name) is None:
        raise ValueError(
            f'PackSemiSegInputs.maps has {name}, which no step before it gives: add the step that '
            f'makes {name}, or take it off'
        )
    given = np.atleast_3d(results[name])
    sizes = [results[key].shape[:2] for key in ('img', 'gt_seg_map') if key in results]
    if given.shape[:2] not in sizes:
        raise ValueError(
            f'the map {name} is of {given.shape[:2]} and the image of {results["img"].shape[:2]}: '
            "add its name to results['seg_fields'], or make it after the steps that resize or crop"
        )
    if given.dtype == np.float64:
        given = given.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(given.transpose(2, 0, 1)))
