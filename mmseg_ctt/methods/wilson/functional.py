# Copyright (c) mmseg_ctt contributors.
"""WILSON: class scores of the localiser, and pseudo-labels made of its maps.

Maps are ``(B, T, h, w)``: background and other old classes (``O`` in all), then ``N`` new classes.
Pixels where ``valid`` is False (padding) count nowhere.
"""

from typing import Optional, Union

import torch
from torch import Tensor

from ...functional.precision import full_precision


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
    logits = full_precision(logits).flatten(2)
    mask = logits.softmax(dim=1)
    count: Union[int, Tensor] = logits.shape[2]
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
    valid: Optional[Tensor] = None,
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
        valid (Tensor, optional): ``(B, h, w)`` bool; the others set no threshold and are of no
            class. Defaults to None: every pixel.

    Returns:
        Tensor: ``(B, C, h, w)``, 0 or 1, of the same type.
    """
    if valid is not None:
        mask = mask * valid.unsqueeze(1)
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
