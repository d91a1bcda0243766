# Copyright (c) mmseg_ctt contributors.
"""One image and its annotations, fused by a method of a name."""

from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from .consensus import Consensus, ConsensusSettings, consensus
from .energy import margin
from .staple import Staple, staple
from .votes import TIES, majority_vote, raters_with_labels, soft_labels

METHODS = ('consensus', 'majority', 'staple', 'soft')


class FusionSettings(NamedTuple):
    """How annotations are fused.

    Attributes:
        method (str): One of :data:`METHODS`. ``soft`` is the majority with class probabilities.
        tie (str): Of ``majority`` and ``soft``, see :func:`.votes.majority_vote`.
        consensus (ConsensusSettings): Of ``consensus``.
    """

    method: str = 'consensus'
    tie: str = 'lowest'
    consensus: ConsensusSettings = ConsensusSettings()

    def check(self) -> None:
        """Raise a ValueError that names a setting without a meaning."""
        if self.method not in METHODS:
            raise ValueError(f'method={self.method!r} must be one of {METHODS}')
        if self.tie not in TIES:
            raise ValueError(f'tie={self.tie!r} must be one of {TIES}')
        self.consensus.check()

    @property
    def used(self) -> Dict[str, Any]:
        """The settings that the method uses, by name."""
        if self.method == 'consensus':
            return dict(method=self.method, **self.consensus._asdict())
        ties = dict(tie=self.tie) if self.method != 'staple' else {}
        return dict(method=self.method, **ties)


class Fused(NamedTuple):
    """Fused annotations of one image.

    Attributes:
        label (np.ndarray): uint8 mask; 255 where no rater annotated, except for ``consensus``,
            which completes it.
        margin (np.ndarray): float32 in [0, 1], pixel weight for training: of ``consensus`` see
            :func:`.energy.margin`, of the others the difference of the two highest class
            probabilities; 0 where no rater annotated.
        probability (np.ndarray | None): ``(K, ...)`` float32, of ``soft`` and ``staple``.
        completed (np.ndarray | None): ``(R, ...)`` of ``consensus``, of all raters in their order;
            those who did not annotate the image keep 255.
        scores (dict): Of the raters, by name of the score: a list with an entry for each rater,
            None where a rater did not annotate the image.
    """

    label: np.ndarray
    margin: np.ndarray
    probability: Optional[np.ndarray]
    completed: Optional[np.ndarray]
    scores: Dict[str, Any]


def fuse(
    image: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: FusionSettings,
    spacing: Optional[Sequence[float]] = None,
) -> Fused:
    """Fuse the annotations of one image.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(X, Y, Z)``, or with channels behind; ``consensus``
            alone uses it.
        labels (np.ndarray): ``(R, ...)`` class ids; 255: not annotated.
        num_classes (int): Number of classes.
        settings (FusionSettings): Method and settings.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Raises:
        ValueError: If nobody annotated the image, or a setting has no meaning.
    """
    settings.check()
    if not raters_with_labels(labels):
        raise ValueError('no rater annotated any pixel of the image')
    if settings.method == 'consensus':
        return _of_consensus(
            consensus(image, labels, num_classes, settings.consensus, spacing), labels
        )
    if settings.method == 'staple':
        return _of_staple(staple(labels, num_classes), labels)
    probability = soft_labels(labels, num_classes)
    fused = majority_vote(labels, num_classes, settings.tie)
    kept = probability if settings.method == 'soft' else None
    return Fused(fused, margin(1 - probability), kept, None, {})


def _of_consensus(found: Consensus, labels: np.ndarray) -> Fused:
    completed = labels.astype(np.uint8)
    completed[found.raters] = found.completed
    values = dict(zip(found.raters, zip(found.scores, _means(found.weights))))
    scores = {
        name: [values[r][k] if r in values else None for r in range(len(labels))]
        for k, name in enumerate(('self_consistency', 'mean_weight'))
    }
    return Fused(found.label, found.margin, None, completed, scores)


def _of_staple(found: Staple, labels: np.ndarray) -> Fused:
    present = raters_with_labels(labels)
    scores = [
        found.confusion[r].diagonal().tolist() if r in present else None for r in range(len(labels))
    ]
    return Fused(
        found.label,
        margin(1 - found.probability),
        found.probability,
        None,
        dict(correct_by_true_class=scores),
    )


def _means(maps: np.ndarray) -> Sequence[float]:
    return [float(part.mean()) for part in maps]
