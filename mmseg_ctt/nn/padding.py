# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.utils import SampleList
from torch import Tensor

from ..datasets.nodata import FIELD as NODATA
from ..functional import downsample_nearest


def valid_mask(samples: SampleList, image: Tensor) -> Optional[Tensor]:
    """Which pixels of a stacked batch are image: no padding (right and below), and with data.

    Args:
        samples (list[SegDataSample]): With ``img_shape``, the size before padding.
        image (Tensor): ``(B, 3, H, W)``, the batch.

    Returns:
        Tensor, optional: ``(B, H, W)`` bool; None where nothing was padded and all have data.
    """
    inside, missing = _inside(samples, image), without_data(samples, image)
    if missing is None:
        return inside
    return ~missing if inside is None else inside & ~missing


def valid_at(valid: Optional[Tensor], size: Sequence[int]) -> Optional[Tensor]:
    """A mask ``(B, H, W)`` of :func:`valid_mask` at the size ``(h, w)`` of a map."""
    return None if valid is None else downsample_nearest(valid, size)


def without_data(samples: SampleList, image: Tensor) -> Optional[Tensor]:
    """Which pixels of a stacked batch have no data, of rasters.

    Args:
        samples (list[SegDataSample]): With the map ``nodata``, where an image has such pixels.
        image (Tensor): ``(B, 3, H, W)``, the batch.

    Returns:
        Tensor, optional: ``(B, H, W)`` bool; None where no image has any.
    """
    found = [sample.get(NODATA) for sample in samples]
    if all(map_ is None for map_ in found):
        return None
    size = image.shape[2:]
    made = torch.zeros(len(samples), *size, dtype=torch.bool, device=image.device)
    for row, map_ in zip(made, found):
        if map_ is not None:
            data = map_.data[0, : size[0], : size[1]]
            row[: data.shape[0], : data.shape[1]] = data
    return made


def _inside(samples: SampleList, image: Tensor) -> Optional[Tensor]:
    """Pixels ``(B, H, W)`` that are not padding; None where nothing was padded."""
    height, width = image.shape[2:]
    shapes = unpadded_shapes(samples)
    if (shapes >= (height, width)).all():
        return None
    bounds = torch.from_numpy(shapes).to(image.device, non_blocking=True).unsqueeze(2)
    rows = torch.arange(height, device=image.device) < bounds[:, 0]
    columns = torch.arange(width, device=image.device) < bounds[:, 1]
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def unpadded_shapes(samples: SampleList) -> np.ndarray:
    """``(B, 2)`` int height and width of each image before padding."""
    return np.array([sample.metainfo['img_shape'][:2] for sample in samples])


def stacked_maps(samples: SampleList, name: str, size: Tuple[int, int]) -> Tensor:
    """``(B, C, H, W)`` maps of padded images.

    Args:
        samples (list[SegDataSample]): Each with a map ``name``, ``(C, h, w)``; all have it.
        name (str): Such as ``gt_sem_seg``.
        size (tuple[int, int]): ``(H, W)``; smaller maps are padded with 0 at the right and below,
            as the preprocessor pads images. Labels are as large already.
    """
    maps = []
    for sample in samples:
        data = sample.get(name).data
        height, width = size[0] - data.shape[-2], size[1] - data.shape[-1]
        maps.append(F.pad(data, (0, width, 0, height)) if height or width else data)
    return torch.stack(maps)


def joined_valid(valid: Sequence[Optional[Tensor]], batches: Sequence[Tensor]) -> Optional[Tensor]:
    """Masks of several batches of images of one size as that of one batch.

    Args:
        valid (Sequence[Tensor]): ``(B_i, H, W)`` bool, or None where nothing was padded.
        batches (Sequence[Tensor]): Tensors of ``B_i`` images.
    """
    given = [mask for mask in valid if mask is not None]
    if not given:
        return None
    return torch.cat(
        [
            given[0].new_ones(len(batch), *given[0].shape[1:]) if mask is None else mask
            for mask, batch in zip(valid, batches)
        ]
    )
