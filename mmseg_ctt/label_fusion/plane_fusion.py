# Copyright (c) mmseg_ctt contributors.
"""One label volume of the predictions of several planes, by settings."""

from dataclasses import dataclass
from typing import Iterable, Optional

import numpy as np

from .components import CLEANINGS, clean_label
from .planes import IGNORE, VOTES_NEEDED, agreed_label, disagreement, majority_label, soft_label

FUSIONS = ('majority', 'soft', *VOTES_NEEDED)


TIELESS = ('soft', 'intersection')  # fusions that do not read the tie


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

    def fuse(
        self, labels: np.ndarray, probabilities: Optional[Iterable[np.ndarray]] = None
    ) -> np.ndarray:
        """Fused labels.

        Args:
            labels (np.ndarray): ``(P, X, Y, Z)`` uint8, class ids that ``P`` planes predict.
            probabilities (Iterable[np.ndarray], optional): ``(K, X, Y, Z)`` of each plane, for
                ``fusion='soft'``, read one at a time. Defaults to None.

        Returns:
            np.ndarray: ``(X, Y, Z)`` uint8.
        """
        fused = clean_label(self._fused(labels, probabilities), labels, self.clean)
        if self.agreement_mask:
            fused[disagreement(labels)] = IGNORE
        return fused

    def _fused(
        self, labels: np.ndarray, probabilities: Optional[Iterable[np.ndarray]]
    ) -> np.ndarray:
        if self.fusion == 'soft':
            assert probabilities is not None, 'soft fusion is of probabilities'
            return soft_label(probabilities)
        if self.fusion == 'majority':
            return majority_label(labels, self.tie)
        return agreed_label(labels, VOTES_NEEDED[self.fusion], self.tie)
