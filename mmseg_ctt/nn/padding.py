# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import numpy as np
import torch
from mmseg.utils import SampleList
from torch import Tensor

from .strong_view import View


def content_mask(
    samples: SampleList, image: Tensor, view: Optional[View] = None
) -> Optional[Tensor]:
    """Which pixels of a stacked batch are image, not padding (right and below).

    Args:
        samples (list[SegDataSample]): With ``img_shape``, the size before padding.
        image (Tensor): ``(B, 3, H, W)``, the batch.
        view (View, optional): Mixes the mask as it mixed the images. Defaults to None.

    Returns:
        Tensor, optional: ``(B, H, W)`` bool; None where nothing was padded.
    """
    height, width = image.shape[2:]
    shapes = np.array([sample.metainfo['img_shape'][:2] for sample in samples])
    if (shapes >= (height, width)).all():
        return None
    bounds = torch.from_numpy(shapes).to(image.device, non_blocking=True).unsqueeze(2)
    rows = torch.arange(height, device=image.device) < bounds[:, 0]
    columns = torch.arange(width, device=image.device) < bounds[:, 1]
    mask = rows.unsqueeze(2) & columns.unsqueeze(1)
    return mask if view is None else view.follow(mask)


def within(target: Tensor, content: Optional[Tensor], outside: float) -> Tensor:
    """A map ``(B, H, W)`` with another value in the padding, if there is any."""
    return target if content is None else target.masked_fill(~content, outside)
