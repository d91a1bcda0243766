# Copyright (c) mmseg_ctt contributors.
"""Fused masks against a known mask: consensus by several settings, majority, STAPLE."""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ...label_fusion.agreement import dice_of_counts, pair_counts
from ...label_fusion.cases import Case, load_case
from ...label_fusion.consensus import ConsensusSettings, examine_raters, fuse_examined
from ...label_fusion.staple import staple
from ...label_fusion.votes import MISSING, majority_vote
from .simulated import hidden_blocks

# Settings of the columns; what they do not name is the default.
CONSENSUS: Mapping[str, Mapping[str, Any]] = {
    'consensus, equal weights': dict(power=0),
    'consensus, SC': dict(power=1),
    'consensus, SC^2': dict(power=2),
    'consensus, SC^4': dict(power=4),
    'consensus, SC^8': dict(power=8),
    'consensus, by rater': dict(rule='rater', power=1),
}


class FusedMasks(NamedTuple):
    """Masks of one image by several methods.

    Attributes:
        masks (dict[str, np.ndarray]): By name of the method.
        completed (np.ndarray): ``(R, H, W)``, annotations of the raters, completed.
        scores (list[float]): Mean self-consistency of each rater.
    """

    masks: Dict[str, np.ndarray]
    completed: np.ndarray
    scores: List[float]


def fuse_by_all(
    image: np.ndarray,
    labels: np.ndarray,
    settings: Optional[ConsensusSettings] = None,
    methods: Sequence[str] = tuple(CONSENSUS),
) -> FusedMasks:
    """Fuse binary annotations by majority, STAPLE and the consensus; forests are grown once.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(H, W, C)``.
        labels (np.ndarray): ``(R, H, W)``; every rater annotated some pixels.
        settings (ConsensusSettings, optional): Of features, forests and cut. Defaults to None.
        methods (Sequence[str]): Names of :data:`CONSENSUS`. Defaults to all.
    """
    settings = settings or ConsensusSettings()
    examined = examine_raters(image, labels, 2, settings)
    masks = {'majority': majority_vote(labels, 2), 'STAPLE': staple(labels, 2).label}
    for name in methods:
        found = fuse_examined(image, examined, 2, settings._replace(**CONSENSUS[name]))
        masks[name] = found.label
    return FusedMasks(masks, examined.completed, found.scores)


def dice(mask: np.ndarray, truth: np.ndarray, where: Optional[np.ndarray] = None) -> float:
    """Dice of class 1 with a true mask.

    Args:
        mask (np.ndarray): ``(H, W)``; 255 counts as class 0.
        truth (np.ndarray): ``(H, W)``.
        where (np.ndarray, optional): bool, pixels that count. Defaults to None: all.

    Returns:
        float: NaN where neither has the class.
    """
    mask = np.where(mask == MISSING, 0, mask)
    if where is not None:
        mask, truth = mask[where], truth[where]
    return float(dice_of_counts(pair_counts(mask, truth, 2))[1])


def hide_and_fuse(
    image: np.ndarray,
    labels: np.ndarray,
    rater: int,
    part: float,
    block: int,
    seed: int,
    settings: Optional[ConsensusSettings] = None,
) -> Dict[str, Dict[str, float]]:
    """Hide blocks of a rater, fuse what is left, and compare with what was hidden.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(H, W, C)``.
        labels (np.ndarray): ``(R, H, W)`` complete binary annotations.
        rater (int): Position of the rater whose blocks are hidden.
        part (float): Part of the blocks.
        block (int): Side of a block.
        seed (int): Of the blocks.
        settings (ConsensusSettings, optional): Of the consensus. Defaults to None.

    Returns:
        dict: By mask (methods, ``completed``, ``rater 0`` and so on for the others): Dice with the
        hidden rater in the hidden blocks (``hidden``) and in the whole image (``whole``).
    """
    hidden = hidden_blocks(labels.shape[1:], part, block, np.random.RandomState(seed))
    truth, shown = labels[rater], labels.copy()
    shown[rater][hidden] = MISSING
    found = fuse_by_all(image, shown, settings)
    masks = {'completed': found.completed[rater], **found.masks}
    others = {f'rater {r}': label for r, label in enumerate(labels) if r != rater}
    return {
        name: dict(hidden=dice(mask, truth, hidden), whole=dice(mask, truth))
        for name, mask in {**others, **masks}.items()
    }


def hide_in_case(
    item: Tuple[int, Case],
    rater: int,
    part: float,
    block: int,
    seed: int,
    settings: ConsensusSettings,
) -> Dict[str, Dict[str, float]]:
    """:func:`hide_and_fuse` for files; processes call it.

    Args:
        item (tuple[int, Case]): Number of the image, which goes into the seed of its blocks, and
            the image.
        rater (int): See :func:`hide_and_fuse`.
        part (float): See there.
        block (int): See there.
        seed (int): Of the blocks of all images.
        settings (ConsensusSettings): Of the consensus.
    """
    number, case = item
    loaded = load_case(case, 2)
    blocks = 1000 * seed + number
    return hide_and_fuse(loaded.image, loaded.labels, rater, part, block, blocks, settings)
