# Copyright (c) mmseg_ctt contributors.
"""WILSON: losses of the localiser and of the network.

Every loss is a mean over the pixels of each image, then over images. Pixels where ``valid`` is
False (padding) count nowhere. Shapes: see ``functional.py``.
"""

from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.precision import full_precision


def classification_loss(scores: Tensor, tags: Tensor, reduction: str = 'mean') -> Tensor:
    """Binary cross-entropy of the new classes' scores against the tags (CLS, eq. 2 and 3).

    Args:
        scores (Tensor): ``(B, T)`` of :func:`pooled_scores`; the last ``N`` are used.
        tags (Tensor): ``(B, N)``, 0 or 1.
        reduction (str): ``'mean'``: over images and classes (released code); ``'sum'``: sum over
            the classes, mean over images. Defaults to 'mean'.

    Returns:
        Tensor: Scalar.
    """
    assert reduction in ('mean', 'sum')
    new = scores[:, scores.shape[1] - tags.shape[1] :]
    loss = F.binary_cross_entropy_with_logits(new, tags.to(new.dtype), reduction='none')
    return loss.mean() if reduction == 'mean' else loss.sum(dim=1).mean()


def localisation_loss(logits: Tensor, old: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Localiser against the old network: binary cross-entropy of the old classes (LOC, eq. 4).

    Args:
        logits (Tensor): ``(B, T, h, w)`` of the localiser.
        old (Tensor): ``(B, O, h, w)`` probabilities (sigmoid) of the old network.
        valid (Tensor, optional): ``(B, h, w)`` bool. Defaults to None: every pixel.

    Returns:
        Tensor: Scalar, mean over pixels and old classes.
    """
    known = full_precision(logits[:, : old.shape[1]])
    target = old.detach().to(known.dtype)
    loss = F.binary_cross_entropy_with_logits(known, target, reduction='none')
    return image_means(loss.mean(dim=1), valid).mean()


def feature_loss(features: Tensor, old: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Squared difference of the features to those of the old network (ENC, eq. A4).

    Args:
        features (Tensor): ``(B, D, h, w)`` of the encoder.
        old (Tensor): Same shape, of the old network.
        valid (Tensor, optional): ``(B, h, w)`` bool. Defaults to None: every pixel.

    Returns:
        Tensor: Scalar, mean over pixels and channels.
    """
    features = full_precision(features)
    error = (features - old.detach().to(features.dtype)).square()
    return image_means(error.mean(dim=1), valid).mean()


class BalancedLoss(NamedTuple):
    """Result of :func:`balanced_cross_entropy`.

    Attributes:
        loss (Tensor): Scalar.
        kept (Tensor): ``(B,)`` bool, images that contribute.
    """

    loss: Tensor
    kept: Tensor


def balanced_cross_entropy(
    logits: Tensor,
    claimed: Tensor,
    tags: Tensor,
    mass: Optional[Tensor] = None,
    valid: Optional[Tensor] = None,
) -> BalancedLoss:
    """Cross-entropy on claimed pixels, with weights that balance the classes of an image (SSS).

    The weight of class ``c`` is ``(S - S_c) / (1 + S)`` with its claimed pixels ``S_c`` and their
    sum ``S`` (released code), or ``(I - M_c) / (1 + I)`` with the soft mass ``M_c`` and all pixels
    ``I`` (eq. A3). An image counts only if as many classes have claimed pixels as it has tags, and
    the background.

    Args:
        logits (Tensor): ``(B, C, h, w)``, up-sampled to ``claimed``.
        claimed (Tensor): ``(B, C, H, W)`` of :func:`hard_map`, at most one class a pixel.
        tags (Tensor): ``(B, C - 1)``, without the background.
        mass (Tensor, optional): ``(B, C, H, W)`` probabilities, for the weights of eq. A3.
            Defaults to None: those of the released code.
        valid (Tensor, optional): ``(B, H, W)`` bool. Defaults to None: every pixel.

    Returns:
        BalancedLoss: The loss is a mean over all pixels, claimed or not, then over all images.
    """
    logits = full_precision(logits)
    if logits.shape[2:] != claimed.shape[2:]:
        size = claimed.shape[2:]
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=True)
    claimed = _known(claimed.to(logits.dtype), valid)
    counts = claimed.sum(dim=(2, 3))
    if mass is None:
        total = counts.sum(dim=1, keepdim=True)
        weight = (total - counts) / (1 + total)
    else:
        pixels = _known(torch.ones_like(logits[:, :1]), valid).sum(dim=(2, 3))
        weight = (pixels - _known(mass.to(logits.dtype), valid).sum(dim=(2, 3))) / (1 + pixels)
    kept = (counts > 0).sum(dim=1) == tags.sum(dim=1) + 1
    loss = -(claimed * weight[:, :, None, None] * logits.log_softmax(dim=1)).sum(dim=1)
    means = image_means(loss, valid)
    return BalancedLoss((means * kept).mean(), kept)


def soft_segmentation_loss(
    logits: Tensor, target: Tensor, valid: Optional[Tensor] = None
) -> Tensor:
    """Binary cross-entropy against soft targets of each image: sum over classes, mean over pixels.

    Args:
        logits (Tensor): ``(B, T, h, w)`` of the network.
        target (Tensor): Same shape, of :func:`segmentation_target`.
        valid (Tensor, optional): ``(B, h, w)`` bool. Defaults to None: every pixel.

    Returns:
        Tensor: ``(B,)``.
    """
    logits = full_precision(logits)
    target = target.detach().to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    return image_means(loss.sum(dim=1), valid)


def tags_are_met(soft: Tensor, new_tags: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Images whose pseudo-labels have a pixel of each new class that they are tagged with.

    With ``alpha < 1`` every image passes: a tagged class has some probability everywhere.

    Args:
        soft (Tensor): ``(B, T, h, w)`` of :func:`soft_target`.
        new_tags (Tensor): ``(B, N)``.
        valid (Tensor, optional): ``(B, h, w)`` bool. Defaults to None: every pixel.

    Returns:
        Tensor: ``(B,)`` bool.
    """
    new = _known(soft[:, soft.shape[1] - new_tags.shape[1] :], valid)
    return ((new.sum(dim=(2, 3)) > 0) == (new_tags > 0)).all(dim=1)


def mean_of_kept(losses: Tensor, kept: Tensor, number: Optional[Tensor] = None) -> Tensor:
    """Mean of the losses of the images that are kept; 0 with a graph if there are none.

    Args:
        losses (Tensor): ``(B,)``.
        kept (Tensor): ``(B,)`` bool.
        number (Tensor, optional): How many are kept, where it is a mean over processes. Defaults to
            None: those of this batch.
    """
    number = kept.sum() if number is None else number
    return (losses * kept).sum() / (number + 1e-5)


def image_means(values: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Mean of ``(B, h, w)`` over the pixels of each image, ``(B,)``; 0 where no pixel counts."""
    if valid is None:
        return values.mean(dim=(1, 2))
    count = valid.sum(dim=(1, 2)).clamp(min=1)
    return values.masked_fill(~valid, 0).sum(dim=(1, 2)) / count


def _known(values: Tensor, valid: Optional[Tensor]) -> Tensor:
    """``(B, C, h, w)`` with 0 in the padding."""
    return values if valid is None else values.masked_fill(~valid.unsqueeze(1), 0)
