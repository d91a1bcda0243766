# Copyright (c) mmseg_ctt contributors.
"""From logits at the size of the network's input to a label map at the original size of the image.

The values are those of mmseg's ``BaseSegmentor.postprocess_result``. Labels come from ``max``:
where the logits of a pixel do not lie side by side, it takes a CPU a tenth of the time of
``argmax``. Logits that have the size of the image are not resized.
"""

from typing import Mapping

import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

FLIPPED = dict(horizontal=(3,), vertical=(2,), diagonal=(2, 3))


def original_size(logits: Tensor, meta: Mapping, align_corners: bool) -> Tensor:
    """Undo padding, flip and resizing of one image.

    Args:
        logits (Tensor): ``(1, K, H, W)``; with the first dimension, because a view without it
            would no longer count as channels-last.
        meta (Mapping): ``ori_shape`` and, where it was done, ``img_padding_size`` or
            ``padding_size`` (left, right, top, bottom), ``flip`` and ``flip_direction``.
        align_corners (bool): Of the decode head.

    Returns:
        Tensor: ``(1, K, *ori_shape)``.
    """
    height, width = logits.shape[2:]
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    logits = logits[..., top : height - bottom, left : width - right]
    if meta.get('flip'):
        logits = logits.flip(FLIPPED[meta['flip_direction']])
    size = tuple(meta['ori_shape'][:2])
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)


def fill_sample(logits: Tensor, sample: SegDataSample, threshold: float = 0.5) -> SegDataSample:
    """Put logits and their label map into a sample.

    Args:
        logits (Tensor): ``(1, K, H, W)``; a single channel is that of class 1 (sigmoid).
        sample (SegDataSample): Gets ``seg_logits`` ``(K, H, W)``, of a single channel its
            probability as in mmseg, and ``pred_sem_seg`` ``(1, H, W)``.
        threshold (float): Probability above which a pixel is of class 1, for a single channel.
            Defaults to 0.5.

    Returns:
        SegDataSample: The sample.
    """
    if logits.shape[1] == 1:
        logits = logits.sigmoid()
        label = (logits[:, 0] > threshold).long()
    else:
        label = logits.max(dim=1).indices
    sample.set_data(
        dict(seg_logits=PixelData(data=logits.squeeze(0)), pred_sem_seg=PixelData(data=label))
    )
    return sample
