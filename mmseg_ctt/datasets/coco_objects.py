# Copyright (c) mmseg_ctt contributors.
"""COCO 2017 with the classes of its objects and the background."""

import colorsys
from typing import Any, List

from mmseg.datasets import BaseSegDataset, COCOStuffDataset
from mmseg.registry import DATASETS

NUM_OBJECTS = 80
OBJECTS = COCOStuffDataset.METAINFO['classes'][:NUM_OBJECTS]  # in the order of their ids in COCO


def colour(index: int) -> List[int]:
    """RGB in 0-255 of an object class; neighbours differ much, and no two are the same."""
    hue, saturation, value = index * 0.618, 1 - 0.25 * (index % 3), 1 - 0.2 * (index % 2)
    return [round(255 * channel) for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value)]


@DATASETS.register_module()
class COCOObjectsDataset(BaseSegDataset):
    """COCO 2017 with 81 classes: the background (0) and the 80 object classes (1 to 80).

    These are the classes of PseudoSeg, UniMatch and later work on few labels. The 80 classes are in
    the order of their ids in COCO, which has gaps: id 90, the toothbrush, is class 80.
    ``tools/dataset_converters/coco_objects.py`` draws the masks from the annotations of instances.

    Args:
        img_suffix (str): Defaults to ``'.jpg'``.
        seg_map_suffix (str): Defaults to ``'.png'``.
        reduce_zero_label (bool): Whether id 0 is no class. Defaults to False: 0 is the background.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``.
    """

    METAINFO = dict(
        classes=('background', *OBJECTS),
        palette=[[0, 0, 0], *(colour(index) for index in range(NUM_OBJECTS))],
    )

    def __init__(
        self,
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
