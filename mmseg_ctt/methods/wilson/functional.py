# Copyright (c) mmseg_ctt contributors.
"""WILSON: class scores of the localiser, its pseudo-labels, and the losses made of them.

All maps have the size of the features, ``(B, T, h, w)``: background, the other old classes (``O``
in all), and the new classes. Every loss is a mean over the pixels of each image, then over images;
pixels where ``valid`` is False (padding) count nowhere.
"""

from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def pooled_scores(
    logits: Tensor,
    eps: float = 1.0,
    focal: bool = True,
    gamma: float = 3.0,
    floor: float = 0.01,
    valid: Optional[Tensor] = None,
) -> Tensor:
    """Image-level scores: normalised global weighted pooling with a focal penalty of size (nGWP).

    With ``m = softmax(z)`` over the classes: ``sum_i m z / (eps + sum_i m)``, plus
    ``(1 - mean_i m)^gamma log(floor + mean_i m)``, which rises with the area of the class.

    Args:
        logits (Tensor): ``(B, T, h, w)``, ``z``.
        eps (float): Defaults to 1 (released code; the paper writes a small constant).
        focal (bool): Whether the penalty is added. Defaults to True.
        gamma (float): Defaults to 3.
        floor (float): Defaults to 0.01.
        valid (Tensor, optional): ``(B, h, w)`` bool. Defaults to None: every pixel.

    Returns:
        Tensor: ``(B, T)``, float32 (float64 for double input).

    Example:
        >>> logits = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
        >>> [round(score, 3) for score in pooled_scores(logits, focal=False)[0].tolist()]
        [1.877, -0.431]
    """
    logits = _exact(logits).flatten(2)
    mask, count = logits.softmax(dim=1), logits.shape[2]
    if valid is not None:
        known = valid.flatten(1).unsqueeze(1)
        mask, logits = mask.masked_fill(~known, 0), logits.masked_fill(~known, 0)
        count = known.sum(dim=2).clamp(min=1)
    mass = mask.sum(dim=2)
    scores = (logits * mask).sum(dim=2) / (eps + mass)
    if not focal:
        return scores
    mean = mass / count
    return scores + (1 - mean) ** gamma * torch.log(floor + mean)


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
    known = _exact(logits[:, : old.shape[1]])
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
    features = _exact(features)
    error = (features - old.detach().to(features.dtype)).square()
    return image_means(error.mean(dim=1), valid).mean()


# ---- pseudo-labels


def tagged_only(mask: Tensor, tags: Tensor) -> Tensor:
    """Probabilities of the background and of the classes that an image is tagged with.

    The others become 0, so that old classes vanish where their tags are hidden (released code).

    Args:
        mask (Tensor): ``(B, T, h, w)``.
        tags (Tensor): ``(B, T)``; column 0, the background, is not read.
    """
    kept = torch.cat([torch.ones_like(tags[:, :1]), tags[:, 1:]], dim=1)
    return mask * kept.to(mask.dtype)[:, :, None, None]


def hard_map(
    mask: Tensor,
    top: float = 0.6,
    background: float = 0.7,
    low: float = 0.2,
    drop_ambiguous: bool = True,
) -> Tensor:
    """Pixels that are confidently of a class, by a threshold of each class and image.

    A pixel is claimed by a class where its probability is above ``max(low, k max_i m)``. Pixels
    that several classes claim are dropped.

    Args:
        mask (Tensor): ``(B, C, h, w)`` probabilities.
        top (float): ``k`` of all classes but 0. Defaults to 0.6.
        background (float): ``k`` of class 0. Defaults to 0.7.
        low (float): Lowest threshold. Defaults to 0.2.
        drop_ambiguous (bool): Defaults to True.

    Returns:
        Tensor: ``(B, C, h, w)``, 0 or 1, of the same type.
    """
    highest = mask.amax(dim=(2, 3), keepdim=True)
    limit = torch.cat([highest[:, :1] * background, highest[:, 1:] * top], dim=1).clamp(min=low)
    claimed = (mask > limit).to(mask.dtype)
    if not drop_ambiguous:
        return claimed
    return claimed * (claimed.sum(dim=1, keepdim=True) <= 1)


def binarize(mask: Tensor) -> Tensor:
    """1 where a class has the highest value of a pixel, else 0; equal ones are all 1.

    Args:
        mask (Tensor): ``(B, C, h, w)``.
    """
    return (mask >= mask.amax(dim=1, keepdim=True)).to(mask.dtype)


def soft_target(mask: Tensor, alpha: float = 0.5) -> Tensor:
    """Smoothed pseudo-label ``alpha onehot(m) + (1 - alpha) m`` (eq. 5).

    Args:
        mask (Tensor): ``(B, T, h, w)`` of :func:`tagged_only`.
        alpha (float): In [0, 1]. Defaults to 0.5.
    """
    return alpha * binarize(mask) + (1 - alpha) * mask


def segmentation_target(
    old: Tensor, soft: Tensor, background_blend: Optional[float] = None
) -> Tensor:
    """Target of the network: the old network for old classes, the localiser for new ones (eq. 6).

    Args:
        old (Tensor): ``(B, O, h, w)`` probabilities (sigmoid) of the old network.
        soft (Tensor): ``(B, T, h, w)`` of :func:`soft_target`.
        background_blend (float, optional): ``b`` of ``(1 - b) old + b soft`` for the background.
            Defaults to None: the smaller of both (paper; ``icarl_bkg=-1`` of the released code).

    Returns:
        Tensor: ``(B, T, h, w)``.
    """
    old = old.to(soft.dtype)
    if background_blend is None:
        background = torch.minimum(old[:, :1], soft[:, :1])
    else:
        background = (1 - background_blend) * old[:, :1] + background_blend * soft[:, :1]
    return torch.cat([background, old[:, 1:], soft[:, old.shape[1] :]], dim=1)


# ---- losses of pseudo-labels


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
    logits = _exact(logits)
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
    logits = _exact(logits)
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


def _exact(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
