# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import numpy as np
import torch
from mmseg.utils import SampleList
from torch import Tensor


def valid_mask(samples: SampleList, image: Tensor) -> Optional[Tensor]:
    """Which pixels of a stacked batch are image, not padding (right and below).

    Args:
        samples (list[SegDataSample]): With ``img_shape``, the size before padding.
        image (Tensor): ``(B, 3, H, W)``, the batch.

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
    return rows.unsqueeze(2) & columns.unsqueeze(1)
