# Copyright (c) mmseg_ctt contributors.
"""Mathematics of AugSeg."""

import math
from typing import Optional

import torch
from torch import Tensor

from ...functional import prediction_entropy, pseudo_label


@torch.no_grad()
def image_confidence(logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Mean over the pixels of an image of ``(1 - H / log K) max_k p_k``, ``H`` the entropy.

    Args:
        logits (Tensor): ``(B, K, h, w)``.
        valid (Tensor, optional): ``(B, h, w)`` bool, pixels that count. Defaults to None: all.

    Returns:
        Tensor: ``(B,)`` in [0, 1], float32 (float64 for double input); 0 where no pixel counts.
    """
    _, top = pseudo_label(logits)
    confidence = (1 - prediction_entropy(logits) / math.log(logits.shape[1])) * top
    if valid is None:
        return confidence.mean((1, 2))
    number = valid.sum((1, 2)).clamp(min=1)
    return (confidence * valid).sum((1, 2)) / number


def injected_source(
    partner: Tensor,
    labeled: Tensor,
    injected: Tensor,
    labeled_box: Tensor,
    unlabeled_box: Tensor,
    visible: bool = True,
) -> Tensor:
    """The image that each pixel of a mixed unlabelled image comes from.

    The unlabelled box shows the partner. With ``visible`` the labelled box of an image with
    injection lies on top. Without (released code) it is pasted below: onto a copy of each image,
    and the unlabelled box of image ``i`` is cut from the copy of its partner. So an injected label
    is seen in the images whose partner has it, where both boxes overlap, and nowhere else.

    Args:
        partner (Tensor): ``(B,)`` int64, unlabelled image that each unlabelled image is mixed with.
        labeled (Tensor): ``(B,)`` int64, labelled image that may be injected into each.
        injected (Tensor): ``(B,)`` bool, whether it is.
        labeled_box (Tensor): ``(B, H, W)`` bool.
        unlabeled_box (Tensor): ``(B, H, W)`` bool.
        visible (bool): See above. Defaults to True.

    Returns:
        Tensor: ``(B, H, W)`` int64; ``i``: unlabelled image ``i``; ``B + j``: labelled image ``j``.
    """
    batch = len(partner)
    own = torch.arange(batch, device=partner.device).view(-1, 1, 1)
    onto = labeled_box & injected.view(-1, 1, 1)
    label = batch + labeled.view(-1, 1, 1)
    if visible:
        return torch.where(onto, label, torch.where(unlabeled_box, partner.view(-1, 1, 1), own))
    copies = torch.where(onto, label, own)
    return torch.where(unlabeled_box, copies[partner], own)
