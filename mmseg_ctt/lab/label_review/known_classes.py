# Copyright (c) mmseg_ctt contributors.
"""What the members of a run know of each class, measured on the labelled images."""

from typing import Any, Dict, Iterable, NamedTuple

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from ...functional import downsample_nearest
from .images import MaskedImage, MaskedSet
from .members import MemberPass, all_members


class ClassKnowledge(NamedTuple):
    """Confidence and IoU of every class.

    Attributes:
        thresholds (dict[str, Tensor]): By member, ``(K,)`` float64: mean probability of a class
            over the pixels whose mask says it; infinite for a class that no mask shows.
        iou (np.ndarray): ``(K,)`` float64, IoU of a class with the masks in [0, 1], that of the
            member with the lowest; 0 for a class that no mask shows.
    """

    thresholds: Dict[str, Tensor]
    iou: np.ndarray

    def known(self, min_iou: float) -> np.ndarray:
        """``(K,)`` bool: classes of which every member has at least this IoU (the rule is ours)."""
        return self.iou >= min_iou


def class_knowledge(model: BaseModel, images: MaskedSet, indices: Iterable[int]) -> ClassKnowledge:
    """Confidence and IoU of every class, from one reading of labelled images.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (MaskedSet): Labelled images.
        indices (Iterable[int]): Those that are read.
    """
    passes = MemberPass(model, all_members(model))
    totals: Dict[str, Tensor] = {}  # sum of probabilities
    areas: Dict[str, Tensor] = {}  # (2, K): pixels that are hit, that truth or prediction has
    pixels: Any = 0
    for index in indices:
        masked = images[index]
        for name, probability, label in passes.predictions(masked.data):
            mask = mask_at(masked, probability).to(probability.device)
            classes = torch.arange(len(probability), device=mask.device)[:, None, None]
            own = mask == classes  # (K, h, w)
            sums = (probability * own).sum(dim=(1, 2), dtype=torch.float64).cpu()
            totals[name] = totals.get(name, 0) + sums
            predicted = (label == classes) & own.any(dim=0)
            counts = torch.stack([(own & predicted), (own | predicted)]).sum(dim=(2, 3)).cpu()
            areas[name] = areas.get(name, 0) + counts
        pixels = pixels + own.sum(dim=(1, 2)).cpu()
    none = torch.full_like(sums, torch.inf)
    limits = {name: torch.where(pixels > 0, total / pixels, none) for name, total in totals.items()}
    iou = [(hit / either.clamp(min=1)).numpy() for hit, either in areas.values()]
    return ClassKnowledge(limits, np.min(iou, axis=0))


def mask_at(masked: MaskedImage, probability: Tensor) -> Tensor:
    """Mask ``(h, w)`` int64 of an image at the size of a map ``(K, h, w)``."""
    whole = torch.from_numpy(masked.mask.astype(np.int64))[None]
    return downsample_nearest(whole, tuple(probability.shape[1:]))[0]
