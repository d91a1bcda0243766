# Copyright (c) mmseg_ctt contributors.
"""Limits of predictions to the classes that image-level tags allow."""

from typing import Dict, List

from torch import Tensor

from .images import Images
from .member import PixelOutput

EXCLUDED = -1e4  # logit of a class of probability 0, in half precision too


def allowed_classes(images: Images) -> Tensor:
    """``(B, C)`` bool: classes of the tags, and class 0 where that is the background.

    Args:
        images (Images): Of a source with tags.

    Raises:
        ValueError: If an image has no tags.
    """
    allowed = images.tags.bool()
    background = [sample.gt_tags.metainfo.get('background', True) for sample in images.samples]
    if all(background):  # as in every batch of one data set
        allowed[:, 0] = True
    return allowed


def limited_logits(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logits whose probabilities are 0 for the classes that are not allowed.

    The softmax normalises the others, so that confidences are those among the allowed classes.

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype. A single channel is the logit of
            class 1 against class 0 (sigmoid).
        allowed (Tensor): ``(B, C)`` bool, ``C = K`` or 2.

    Returns:
        Tensor: ``(B, K, h, w)``, the same dtype.
    """
    if logits.shape[1] > 1:
        return logits.masked_fill(~allowed[..., None, None], EXCLUDED)
    first, second = allowed[:, :1, None, None], allowed[:, 1:, None, None]
    return logits.masked_fill(~second, EXCLUDED).masked_fill(~first, -EXCLUDED)


def limited_outputs(outputs: Dict[str, List[PixelOutput]], images: Images) -> Dict[str, list]:
    """Outputs of members with the logits of their first entries limited to the tags.

    Args:
        outputs (dict[str, list[PixelOutput]]): By member.
        images (Images): The images of the first entries.

    Raises:
        ValueError: If an image has no tags.
    """
    allowed = allowed_classes(images)
    return {
        name: [first._replace(logits=limited_logits(first.logits, allowed)), *others]
        for name, (first, *others) in outputs.items()
    }
