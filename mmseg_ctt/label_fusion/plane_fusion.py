# Copyright (c) mmseg_ctt contributors.
"""One label volume of the predictions of several planes, by settings."""

from dataclasses import dataclass
from typing import List, Optional, Sequence

import numpy as np

from .components import CLEANINGS, clean_label
from .planes import IGNORE, VOTES_NEEDED, agreed_label, disagreement, majority_label, soft_label

FUSIONS = ('majority', 'soft', *VOTES_NEEDED)


@dataclass(frozen=True)
class PlaneFusion:
    """Fusion of planes.

    Attributes:
        fusion (str): ``'majority'`` of the labels; ``'soft'``: highest mean probability;
            ``'union'``, ``'at_least_two'``, ``'intersection'``: classes other than the background
            that one, two or all planes predict.
        tie (int): Index of the plane whose label decides a tie; -1 is the last.
        clean (str, optional): Components that stay, ``'seeded'`` or ``'largest'``; None: all.
        agreement_mask (bool): Set voxels where the planes differ to 255, after cleaning.

    Raises:
        ValueError: For an unknown value.
    """

    fusion: str = 'majority'
    tie: int = -1
    clean: Optional[str] = None
    agreement_mask: bool = False

    def __post_init__(self) -> None:
        for name, known in (('fusion', FUSIONS), ('clean', (*CLEANINGS, None))):
            if getattr(self, name) not in known:
                raise ValueError(f'{name} must be one of {known}, got {getattr(self, name)!r}')

    @property
    def needs_probabilities(self) -> bool:
        """Whether probabilities are fused, and not labels."""
        return self.fusion == 'soft'

    def fuse(self, planes: Sequence[np.ndarray]) -> np.ndarray:
        """Fused labels.

        Args:
            planes (Sequence[np.ndarray]): Of each plane labels ``(X, Y, Z)``, or for
                ``fusion='soft'`` probabilities ``(K, X, Y, Z)``.

        Returns:
            np.ndarray: ``(X, Y, Z)`` uint8.
        """
        labels = np.stack(self.plane_labels(planes))
        if self.needs_probabilities:
            fused = soft_label(planes)
        elif self.fusion == 'majority':
            fused = majority_label(labels, self.tie)
        else:
            fused = agreed_label(labels, VOTES_NEEDED[self.fusion], self.tie)
        fused = clean_label(fused, labels, self.clean)
        if self.agreement_mask:
            fused[disagreement(labels)] = IGNORE
        return fused

    def plane_labels(self, planes: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Labels ``(X, Y, Z)`` uint8 of each plane, as :meth:`fuse` takes them."""
        if self.needs_probabilities:
            return [plane.argmax(axis=0).astype(np.uint8) for plane in planes]
        return [np.asarray(plane, np.uint8) for plane in planes]
