# Copyright (c) mmseg_ctt contributors.
"""Label errors: regions of training masks that all members contradict with confidence.

The rule is ours; that networks find label errors by confident contradiction is that of confident
learning (Northcutt et al., JAIR 2021), that connected regions are judged as wholes that of Rottmann
and Reese (WACV 2023). A pixel is contradicted if

1. all members predict one and the same class, which is not that of the mask,
2. each with a probability of at least the threshold,
3. it is no nearer to a border of the mask than 1 % of the longer side, since borders are never
   exact.

Connected contradicted pixels with one class in the mask and one predicted class are a region;
regions below 0.1 % of the image are left out. Images are ranked by the part of their labelled
pixels that lies in regions.
"""

import heapq
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set

import numpy as np
import torch
from mmengine.model import BaseModel
from scipy import ndimage

from ...functional import downsample_nearest
from .images import ListedImage, MaskedImage, MaskedSet
from .members import MemberPass, all_members

THRESHOLD = 0.9
BORDER = 0.01  # of the longer side
MIN_AREA = 0.001  # of the image


class Contradiction(NamedTuple):
    """Settings of the search.

    Attributes:
        threshold (float): Smallest probability of every member.
        border (float): Width of the strip along borders that does not count, as a part of the
            longer side.
        min_area (float): Smallest region, as a part of the image.
    """

    threshold: float = THRESHOLD
    border: float = BORDER
    min_area: float = MIN_AREA

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        for name, value in self._asdict().items():
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {value}')


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


def find_label_errors(
    model: BaseModel,
    images: MaskedSet,
    indices: Iterable[int],
    count: int,
    settings: Contradiction = Contradiction(),
) -> List[Suspicious]:
    """Images whose masks the members contradict most.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (MaskedSet): Labelled images.
        indices (Iterable[int]): Those that are searched.
        count (int): At most that many are returned; no more are in memory.
        settings (Contradiction): Of the search.

    Returns:
        list[Suspicious]: Images with a region, the highest score first.
    """
    passes = MemberPass(model, all_members(model))
    best: List[Any] = []
    for index in indices:
        found = examine(passes, images[index], settings)
        if found.regions:
            heapq.heappush(best, (found.score, -index, found))
            best = heapq.nlargest(count, best)
            heapq.heapify(best)
    return [found for _, _, found in sorted(best, key=lambda entry: entry[:2], reverse=True)]


def examine(passes: MemberPass, masked: MaskedImage, settings: Contradiction) -> Suspicious:
    """Contradicted regions of one image, at the size of the network's input.

    Args:
        passes (MemberPass): Of all members.
        masked (MaskedImage): Image and mask.
        settings (Contradiction): Of the search.
    """
    labels, least = [], torch.ones(())
    for _, probability in passes.probabilities(masked.data):
        confidence, label = probability.max(dim=0)
        labels.append(label)
        least = torch.minimum(least, confidence)
    agreed = torch.stack([label == labels[0] for label in labels]).all(dim=0)
    whole = torch.from_numpy(masked.mask.astype(np.int64))[None]
    mask = downsample_nearest(whole, tuple(least.shape))[0].numpy()
    num_classes = len(probability)
    known = (mask >= 0) & (mask < num_classes)
    predicted = labels[0].cpu().numpy()
    sure = (agreed & (least >= settings.threshold)).cpu().numpy()
    wrong = sure & known & (predicted != mask) & ~near_border(mask, settings.border)
    regions, kept = _regions(wrong, mask, predicted, least.cpu().numpy(), known, settings.min_area)
    score = float(kept.sum() / max(known.sum(), 1))
    majority = torch.stack(labels).mode(dim=0).values.cpu().numpy()
    return Suspicious(masked.image, score, regions, kept, mask, majority)


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
