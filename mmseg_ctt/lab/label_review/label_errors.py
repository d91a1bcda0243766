# Copyright (c) mmseg_ctt contributors.
"""Label errors: regions of training masks that all members contradict with confidence.

A pixel with class i in the mask is contradicted if

1. all members predict one and the same class j other than i,
2. each member m is confident of it: p_m(j) >= t_m(j), where t_m(j) is the mean of p_m(j) over the
   training pixels whose mask says j: the class threshold of confident learning (Northcutt, Jiang
   and Chuang, JAIR 2021), which fits a network of high probabilities and one of low ones. A fixed
   probability may be given instead,
3. it is no nearer to a border of the mask than 1 % of the longer side, since borders are never
   exact.

Confident learning needs predictions for images that the network was not trained on; here, the
networks are those of the run, since training several times is too dear. Rules 1 and 3 and what
follows are ours; that connected regions are examined as wholes is as in Rottmann and Reese (WACV
2023). Connected contradicted pixels with one class in the mask and one predicted class are a
region; regions below 0.1 % of the image are left out. Images are ranked by the part of their
labelled pixels that lies in regions.
"""

import heapq
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set

import numpy as np
import torch
from mmengine.model import BaseModel
from scipy import ndimage
from torch import Tensor

from ...functional import downsample_nearest
from .images import ListedImage, MaskedImage, MaskedSet
from .members import MemberPass, all_members

BORDER = 0.01  # of the longer side
MIN_AREA = 0.001  # of the image


class Contradiction(NamedTuple):
    """Settings of the search.

    Attributes:
        threshold (float, optional): Smallest probability of every member. None: class
            thresholds, see the module.
        border (float): Width of the strip along borders that does not count, as a part of the
            longer side.
        min_area (float): Smallest region, as a part of the image.
    """

    threshold: Optional[float] = None
    border: float = BORDER
    min_area: float = MIN_AREA

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        for name, value in self._asdict().items():
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {value}')


DEFAULTS = Contradiction()


class Region(NamedTuple):
    """Connected region that the members contradict.

    Attributes:
        was (int): Class in the mask.
        predicted (int): Class that all members predict.
        area (float): Part of the labelled pixels of the image.
        confidence (float): Mean over the region of the least confident member's probability.
    """

    was: int
    predicted: int
    area: float
    confidence: float


class Suspicious(NamedTuple):
    """Labelled image with its contradicted regions.

    Attributes:
        image (ListedImage): The image.
        score (float): Part of its labelled pixels in the regions, in [0, 1].
        regions (list[Region]): The largest first.
        contradicted (np.ndarray): ``(h, w)`` bool, the pixels of the regions.
        mask (np.ndarray): ``(h, w)`` integer ids of the mask.
        predicted (np.ndarray): ``(h, w)`` integer classes of the most members.
    """

    image: ListedImage
    score: float
    regions: List[Region]
    contradicted: np.ndarray
    mask: np.ndarray
    predicted: np.ndarray


def class_thresholds(
    model: BaseModel, images: MaskedSet, indices: Iterable[int]
) -> Dict[str, Tensor]:
    """Mean probability of each class over the pixels whose mask says it, by member.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (MaskedSet): Labelled images.
        indices (Iterable[int]): Those that are read.

    Returns:
        dict[str, Tensor]: ``(K,)`` float64; infinite for a class that no mask shows.
    """
    passes = MemberPass(model, all_members(model))
    totals: Dict[str, Tensor] = {}
    pixels: Any = 0
    for index in indices:
        masked = images[index]
        for name, probability in passes.probabilities(masked.data):
            mask = _mask_at(masked, probability).to(probability.device)
            classes = torch.arange(len(probability), device=mask.device)[:, None, None]
            own = mask == classes  # (K, h, w)
            sums = (probability * own).sum(dim=(1, 2), dtype=torch.float64).cpu()
            totals[name] = totals.get(name, 0) + sums
        pixels = pixels + own.sum(dim=(1, 2)).cpu()
    none = torch.full_like(sums, torch.inf)
    return {name: torch.where(pixels > 0, total / pixels, none) for name, total in totals.items()}


def find_label_errors(
    model: BaseModel,
    images: MaskedSet,
    indices: Iterable[int],
    count: int,
    settings: Contradiction = DEFAULTS,
    thresholds: Optional[Mapping[str, Tensor]] = None,
) -> List[Suspicious]:
    """Images whose masks the members contradict most.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (MaskedSet): Labelled images.
        indices (Iterable[int]): Those that are searched.
        count (int): At most that many are returned; no more are in memory.
        settings (Contradiction): Of the search.
        thresholds (Mapping[str, Tensor], optional): Of :func:`class_thresholds`; needed without
            ``settings.threshold``. Defaults to None.

    Returns:
        list[Suspicious]: Images with a region, the highest score first.
    """
    passes = MemberPass(model, all_members(model))
    best: List[Any] = []
    for index in indices:
        found = examine(passes, images[index], settings, thresholds)
        if found.regions:
            heapq.heappush(best, (found.score, -index, found))
            if len(best) > count:
                heapq.heappop(best)
    return [found for _, _, found in sorted(best, key=lambda entry: entry[:2], reverse=True)]


def examine(
    passes: MemberPass,
    masked: MaskedImage,
    settings: Contradiction,
    thresholds: Optional[Mapping[str, Tensor]] = None,
) -> Suspicious:
    """Contradicted regions of one image, at the size of the network's input.

    Args:
        passes (MemberPass): Of all members.
        masked (MaskedImage): Image and mask.
        settings (Contradiction): Of the search.
        thresholds (Mapping[str, Tensor], optional): ``(K,)`` by member, for settings without a
            threshold.
    """
    labels: List[Tensor] = []
    confident = least = torch.ones(())
    for name, probability in passes.probabilities(masked.data):
        confidence, label = probability.max(dim=0)
        labels.append(label)
        least = torch.minimum(least, confidence)
        limit: Any = settings.threshold
        if limit is None:
            assert thresholds is not None
            limit = thresholds[name].to(label.device)[label]
        confident = confident * (confidence >= limit)
    agreed = torch.stack([label == labels[0] for label in labels]).all(dim=0)
    mask = _mask_at(masked, probability).numpy()
    known = (mask >= 0) & (mask < len(probability))
    predicted = labels[0].cpu().numpy()
    certain = (agreed & (confident > 0)).cpu().numpy()
    wrong = certain & known & (predicted != mask) & ~near_border(mask, settings.border)
    regions, kept = _regions(wrong, mask, predicted, least.cpu().numpy(), known, settings.min_area)
    score = float(kept.sum() / max(known.sum(), 1))
    majority = torch.stack(labels).mode(dim=0).values.cpu().numpy()
    return Suspicious(masked.image, score, regions, kept, mask, majority)


def _mask_at(masked: MaskedImage, probability: Tensor) -> Tensor:
    """Mask ``(h, w)`` int64 at the size of a map ``(K, h, w)``."""
    whole = torch.from_numpy(masked.mask.astype(np.int64))[None]
    return downsample_nearest(whole, tuple(probability.shape[1:]))[0]


def near_border(mask: np.ndarray, width: float) -> np.ndarray:
    """Pixels near a border between two ids of a mask.

    Args:
        mask (np.ndarray): ``(H, W)`` integers.
        width (float): Part of the longer side; rounded, at least 1 pixel, 0 for none.

    Returns:
        np.ndarray: bool ``(H, W)``; True where the square around the pixel holds another id.
    """
    if width == 0:
        return np.zeros(mask.shape, bool)
    side = 2 * max(1, round(width * max(mask.shape))) + 1
    lowest, highest = (
        function(mask, side, mode='nearest')
        for function in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    return lowest != highest


def _regions(
    wrong: np.ndarray,
    mask: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    known: np.ndarray,
    min_area: float,
) -> Any:
    """Regions of one pair of classes each, the largest first, and their pixels."""
    regions: List[Region] = []
    kept = np.zeros(wrong.shape, bool)
    for was, new in np.unique(np.stack([mask[wrong], predicted[wrong]], axis=1), axis=0):
        label, number = ndimage.label(wrong & (mask == was) & (predicted == new))
        areas = np.bincount(label.ravel(), minlength=number + 1)
        for i in range(1, number + 1):
            if areas[i] < max(1, min_area * mask.size):
                continue
            inside = label == i
            kept |= inside
            part = float(areas[i] / known.sum())
            regions.append(Region(int(was), int(new), part, float(confidence[inside].mean())))
    return sorted(regions, key=lambda region: -region.area), kept


def precision_recall(ranked: Sequence[str], spoilt: Set[str], k: int) -> Dict[str, float]:
    """How many of the spoilt masks are among the first ``k`` images.

    Args:
        ranked (Sequence[str]): Names of images, the most suspicious first.
        spoilt (set[str]): Names of those whose masks are spoilt.
        k (int): Number of images that a person looks at.

    Returns:
        dict[str, float]: ``precision``: spoilt among the first ``k`` (or as many as there are),
        ``recall``: of all spoilt those among them. Both in [0, 1].
    """
    hits = len(set(ranked[:k]) & spoilt)
    return dict(precision=hits / max(min(k, len(ranked)), 1), recall=hits / max(len(spoilt), 1))


def names_of(regions: Sequence[Region], meta: Mapping[str, Any], number: int = 3) -> str:
    """The largest regions in words."""
    classes = meta['classes']
    return '; '.join(
        f'{classes[region.was]} or {classes[region.predicted]}? ({region.area:.1%} of the image, '
        f'confidence {region.confidence:.2f})'
        for region in regions[:number]
    )
