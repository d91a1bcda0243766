# Copyright (c) mmseg_ctt contributors.
"""Class activation maps: a map of each class from an image classifier."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .pseudo_label import downsample_nearest


def normalized_class_maps(maps: Tensor, tags: Optional[Tensor] = None, eps: float = 1e-5) -> Tensor:
    """Class maps of [0, 1]: negative values cut, each divided by its maximum.

    Args:
        maps (Tensor): ``(B, F, h, w)`` raw maps of the foreground classes.
        tags (Tensor, optional): ``(B, F)``, 1 for the classes of an image; maps of all others
            become 0. Defaults to None: all maps are kept.
        eps (float): Added to the maximum (released code of AuxSegNet). Defaults to 1e-5.

    Returns:
        Tensor: ``(B, F, h, w)`` float32; 0 where a map has no positive value.
    """
    positive = maps.float().clamp(min=0)
    normalized = positive / (positive.amax(dim=(2, 3), keepdim=True) + eps)
    return normalized if tags is None else normalized * tags[:, :, None, None]


def class_scores(maps: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Scores of an image's classes: means of their maps (global average pooling).

    Args:
        maps (Tensor): ``(B, F, h, w)`` raw maps.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding, which is left out.
            Defaults to None: all pixels count.

    Returns:
        Tensor: ``(B, F)`` float32, positive where a class is in the image.
    """
    return masked_mean(maps, valid)


def masked_mean(maps: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Means of maps over the pixels that are no padding.

    Args:
        maps (Tensor): ``(B, C, h, w)``.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding. Defaults to None: all
            pixels count.

    Returns:
        Tensor: ``(B, C)`` float32; 0 for an image of padding alone.
    """
    if valid is None:
        return maps.float().mean(dim=(2, 3))
    cells = downsample_nearest(valid.float(), maps.shape[2:]).unsqueeze(1)
    return (maps.float() * cells).sum(dim=(2, 3)) / cells.sum(dim=(2, 3)).clamp(min=1)


def class_map_logits(maps: Tensor, background: Optional[float], floor: float = 1e-4) -> Tensor:
    """Logits of a segmentation without tags, from the class maps of a classifier (ours).

    The value of a class is its normalised map times its probability as a tag, and that of the
    background a constant. Logits are the logarithms: a softmax divides the values by their sum.

    Args:
        maps (Tensor): ``(B, F, h, w)`` raw maps, whose means are the scores of the tags.
        background (float, optional): Value of the background in (0, 1), the first class of the
            result; None: there is no background.
        floor (float): Least value, so that the logarithm is finite. Defaults to 1e-4.

    Returns:
        Tensor: ``(B, F + 1, h, w)`` float32, ``(B, F, h, w)`` without background.
    """
    probability = class_scores(maps).sigmoid()
    values = normalized_class_maps(maps, probability)
    if background is not None:
        constant = values.new_full((len(values), 1, *values.shape[2:]), background)
        values = torch.cat([constant, values], dim=1)
    return values.clamp(min=floor).log()


def tag_loss(scores: Tensor, tags: Tensor) -> Tuple[Tensor, Tensor]:
    """Multilabel soft margin of an image classifier, and the ratio of tags that its scores give.

    Args:
        scores (Tensor): ``(B, F)`` float32, positive where a class is in the image.
        tags (Tensor): ``(B, F)``, 0 or 1.
    """
    loss = F.multilabel_soft_margin_loss(scores, tags)
    accuracy = ((scores.detach() > 0) == (tags > 0)).float().mean()
    return loss, accuracy
