# Copyright (c) mmseg_ctt contributors.
"""The generated street scenes."""

from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .streets_layout import CLASSES, IMG_SUFFIX, PALETTE, SEG_MAP_SUFFIX


@DATASETS.register_module()
class StreetsDataset(BaseSegDataset):
    """Street scenes made by ``tools/dataset_converters/make_streets.py``.

    ``img_dir`` and ``ann_dir`` each hold ``train`` and ``val``. Label 255 is
    void: the own car's bonnet and clutter that belongs to no class.

    Args:
        img_suffix (str): Defaults to ``'.jpg'``.
        seg_map_suffix (str): Defaults to ``'.png'``.
        reduce_zero_label (bool): Whether id 0 is no class. Defaults to False: 0 is the road.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)

    def __init__(
        self,
        img_suffix: str = IMG_SUFFIX,
        seg_map_suffix: str = SEG_MAP_SUFFIX,
        reduce_zero_label: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
