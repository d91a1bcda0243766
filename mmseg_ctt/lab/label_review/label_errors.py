# Copyright (c) mmseg_ctt contributors.
"""Label errors: regions of training masks that all members contradict with confidence.

A pixel with class i in the mask is contradicted if

1. all members predict one and the same class j other than i,
2. each member m is confident of it: p_m(j) >= t_m(j), where t_m(j) is the mean of p_m(j) over the
   training pixels whose mask says j: the class threshold of confident learning (Northcutt, Jiang
   and Chuang, JAIR 2021), which fits a network of high probabilities and one of low ones; and
   p_m(j) >= 0.3. A fixed probability may be given instead of both,
3. it is no nearer to a border of the mask than 1 % of the longer side, since borders are never
   exact.

Confident learning needs predictions for images that the network was not trained on; here, the
networks are those of the run, since training several times is too dear. The floor of 0.3, rules 1
and 3 and what follows are ours; that connected regions are examined as wholes is as in Rottmann
and Reese (WACV 2023). Connected contradicted pixels with one class in the mask and one predicted
class are a region; regions below 0.1 % of the image are left out.

A class is known if the IoU of each member with the masks of the labelled images is at least 0.5.
A network that does not know cats yet calls them dogs, and the mask is right. So images are ranked
by the part of their labelled pixels in regions of which both classes are known; images that have
regions of other classes alone come behind them, ranked by the part in those.
"""

import heapq
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
import torch
from mmengine.model import BaseModel
from scipy import ndimage
from torch import Tensor

from .images import ListedImage, MaskedImage, MaskedSet
from .known_classes import ClassKnowledge, mask_at
from .members import MemberPass, all_members

BORDER = 0.01  # of the longer side
MIN_AREA = 0.001  # of the image
MIN_IOU = 0.5  # of a class that counts as known
FLOOR = 0.3  # of the probability, beside the class thresholds


class Contradiction(NamedTuple):
    """Settings of the search.

    Attributes:
        threshold (float, optional): Smallest probability of every member. None: class
            thresholds, see the module.
        border (float): Width of the strip along borders that does not count, as a part of the
            longer side.
        min_area (float): Smallest region, as a part of the image.
        min_iou (float): IoU on the labelled images from which a class is known, see the module.
        floor (float, optional): Smallest probability beside the class thresholds. None:
            :data:`FLOOR`.
    """

    threshold: Optional[float] = None
    border: float = BORDER
    min_area: float = MIN_AREA
    min_iou: float = MIN_IOU
    floor: Optional[float] = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range, or would not be used."""
        for name, value in self._asdict().items():
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {value}')
        if self.threshold is not None and self.floor is not None:
            raise ValueError(
                'floor belongs to the class thresholds, which a fixed threshold replaces: leave '
                'one of the two out'
            )

    def limit(self, thresholds: Tensor) -> Tensor:
        """Smallest probability of each class, from class thresholds ``(K,)`` of a member."""
        if self.threshold is not None:
            return torch.full_like(thresholds, self.threshold, dtype=torch.float32)
        return thresholds.clamp(min=FLOOR if self.floor is None else self.floor)


DEFAULTS = Contradiction()


class Region(NamedTuple):
    """Connected region that the members contradict.

    Attributes:
        was (int): Class in the mask.
        predicted (int): Class that all members predict.
        area (float): Part of the labelled pixels of the image.
        confidence (float): Mean over the region of the least confident member's probability.
        unknown (tuple[int, ...]): Those of the two classes that the members do not know yet.
    """

    was: int
    predicted: int
    area: float
    confidence: float
    unknown: Tuple[int, ...] = ()


class Suspicious(NamedTuple):
    """Labelled image with its contradicted regions.

    Attributes:
        image (ListedImage): The image.
        known (bool): Whether it has a region of which both classes are known.
        score (float): Part of its labelled pixels in such regions, in [0, 1]; without any, in the
            others.
        regions (list[Region]): Those of known classes first, the largest first.
        contradicted (np.ndarray): ``(h, w)`` bool, the pixels of the regions.
        mask (np.ndarray): ``(h, w)`` integer ids of the mask.
        predicted (np.ndarray): ``(h, w)`` integer classes of the most members.
    """

    image: ListedImage
    known: bool
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
    knowledge: ClassKnowledge,
    settings: Contradiction = DEFAULTS,
) -> List[Suspicious]:
    """Images whose masks the members contradict most.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (MaskedSet): Labelled images.
        indices (Iterable[int]): Those that are searched.
        count (int): At most that many are returned; no more are in memory.
        knowledge (ClassKnowledge): Of :func:`~.known_classes.class_knowledge`.
        settings (Contradiction): Of the search.

    Returns:
        list[Suspicious]: Images with a region: those with one of known classes, then the others;
        in each part the highest score first.
    """
    passes = MemberPass(model, all_members(model))
    best: List[Any] = []
    for index in indices:
        found = examine(passes, images[index], knowledge, settings)
        if found.regions:
            heapq.heappush(best, (found.known, found.score, -index, found))
            if len(best) > count:
                heapq.heappop(best)
    return [entry[-1] for entry in sorted(best, key=lambda entry: entry[:3], reverse=True)]


def examine(
    passes: MemberPass,
    masked: MaskedImage,
    knowledge: ClassKnowledge,
    settings: Contradiction = DEFAULTS,
) -> Suspicious:
    """Contradicted regions of one image, at the size of the network's input.

    Args:
        passes (MemberPass): Of all members.
        masked (MaskedImage): Image and mask.
        knowledge (ClassKnowledge): Of the members.
        settings (Contradiction): Of the search.
    """
    labels: List[Tensor] = []
    confident = least = torch.ones(())
    for name, probability, label in passes.predictions(masked.data):
        confidence = probability.gather(0, label[None])[0]
        labels.append(label)
        least = torch.minimum(least, confidence)
        limit = settings.limit(knowledge.thresholds[name]).to(label.device)
        confident = confident * (confidence >= limit[label])
    agreed = torch.stack([label == labels[0] for label in labels]).all(dim=0)
    mask = mask_at(masked, probability).numpy()
    known = (mask >= 0) & (mask < len(probability))
    predicted = labels[0].cpu().numpy()
    certain = (agreed & (confident > 0)).cpu().numpy()
    wrong = certain & known & (predicted != mask) & ~near_border(mask, settings.border)
    found, kept = _regions(wrong, mask, predicted, least.cpu().numpy(), known, settings.min_area)
    regions = _known_first(found, knowledge.known(settings.min_iou))
    first = [region for region in regions if not region.unknown]
    score = sum(region.area for region in first or regions)
    majority = torch.stack(labels).mode(dim=0).values.cpu().numpy()
    return Suspicious(masked.image, bool(first), score, regions, kept, mask, majority)


def _known_first(regions: Sequence[Region], known: np.ndarray) -> List[Region]:
    """Regions with their unknown classes; those without any first, the largest first."""
    named = [
        region._replace(unknown=tuple(k for k in (region.was, region.predicted) if not known[k]))
        for region in regions
    ]
    return sorted(named, key=lambda region: (bool(region.unknown), -region.area))


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
    """Regions of one pair of classes each, and their pixels."""
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
    return regions, kept


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
    """The first regions in words."""
    classes = meta['classes']
    return '; '.join(
        f'{classes[region.was]} or {classes[region.predicted]}? ({region.area:.1%} of the image, '
        f'confidence {region.confidence:.2f}{_unknown(region, classes)})'
        for region in regions[:number]
    )


def _unknown(region: Region, classes: Sequence[str]) -> str:
    names = ' and '.join(classes[k] for k in region.unknown)
    return f', not known yet: {names}' if names else ''


def unknown_classes(
    knowledge: ClassKnowledge, settings: Contradiction, meta: Mapping[str, Any]
) -> str:
    """Classes that the members do not know yet, with their IoU, in words; empty if none is."""
    unknown = np.flatnonzero(~knowledge.known(settings.min_iou))
    names = [f'{meta["classes"][k]} {knowledge.iou[k]:.0%}' for k in unknown]
    if not names:
        return ''
    return (
        f'Not known yet, with an IoU below {settings.min_iou:.0%} on these images in one of the '
        f'networks: {", ".join(names)}.'
    )
