# Copyright (c) mmseg_ctt contributors.
"""Maps of samples that move with the pixels, and samples of maps that have moved."""

from typing import Dict, Mapping, Sequence

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from ..datasets.nodata import FIELD as NODATA
from .images import Images
from .padding import without_data


def pixel_maps(images: Images) -> Dict[str, Tensor]:
    """Every map of a batch by its name: labels, pixels without data, and what losses read.

    A map that some samples have and others not is left out, so that a loss that reads it says what
    is missing; a sample without the map of pixels without data has data everywhere.

    Args:
        images (Images): With their samples.

    Returns:
        dict[str, Tensor]: ``(B, C, H, W)``, 0 in the padding, labels as they are.
    """
    samples, missing = images.samples, without_data(images.samples, images.image)
    names = [name for name, value in samples[0].items() if isinstance(value, PixelData)]
    shared = [name for name in names if all(name in sample for sample in samples)]
    maps = {name: images.maps(name) for name in shared}
    return maps if missing is None else {**maps, NODATA: missing.unsqueeze(1)}


def samples_of(maps: Mapping[str, Tensor], metainfo: Sequence[dict]) -> SampleList:
    """New samples.

    Args:
        maps (Mapping[str, Tensor]): ``(B, C, H, W)`` by name, as of :func:`pixel_maps`.
        metainfo (Sequence[dict]): Of each sample.
    """
    return [
        SegDataSample(
            metainfo=known, **{name: PixelData(data=values[i]) for name, values in maps.items()}
        )
        for i, known in enumerate(metainfo)
    ]
