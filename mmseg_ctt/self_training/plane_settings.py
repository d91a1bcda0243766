# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from ..label_fusion.components import CLEANINGS
from ..label_fusion.plane_fusion import FUSIONS, TIELESS, PlaneFusion
from ..nn.settings import check_choice, check_number
from ..volumes import PLANES
from .round_settings import KEY, RoundSettings

STARTS = ('scratch', 'teacher')


@dataclass(frozen=True)
class PlaneSettings(RoundSettings):
    """Settings of multi-planar co-training, ``self_training`` of a config.

    Attributes:
        rounds (int): Rounds of students behind the round of teachers; 0 trains the teachers alone.
        planes (tuple[str, ...]): Planes that have a network, two or three of ``'x'``, ``'y'``,
            ``'z'``.
        fusion (str): How the predictions of the planes become pseudo-labels and results:
            ``'majority'``, ``'soft'``, ``'union'``, ``'at_least_two'`` or ``'intersection'``; see
            :class:`~mmseg_ctt.label_fusion.PlaneFusion`.
        tie (str, optional): Plane whose label decides where the votes are equal, which soft fusion
            does not count. None is the last of ``planes``: ``'z'``, the axial plane, by default.
        clean (str, optional): Components of a class that stay: ``'seeded'``, ``'largest'``, or None
            for all.
        agreement_mask (bool): Pseudo-labels alone: voxels where the planes differ are ignored.
        init (str): Weights that a student starts from: ``'scratch'``, those of the config;
            ``'teacher'``, those of its plane in the round before.
        member (str, optional): Member that predicts; None is the config's ``test_cfg.predict_on``.

    Raises:
        TypeError: If a number is none, or ``agreement_mask`` no bool.
        ValueError: For an unknown value, in a config for an unused one, too.
    """

    rounds: int = 2
    planes: Tuple[str, ...] = PLANES
    fusion: str = 'majority'
    tie: Optional[str] = None
    clean: Optional[str] = 'seeded'
    agreement_mask: bool = False
    init: str = 'scratch'
    member: Optional[str] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'planes', _checked_planes(self.planes))
        check_number(f'{KEY}.rounds', self.rounds, 0, whole=True)
        check_choice(f'{KEY}.fusion', self.fusion, FUSIONS)
        check_choice(f'{KEY}.clean', self.clean, (*CLEANINGS, None))
        check_choice(f'{KEY}.init', self.init, STARTS)
        check_choice(f'{KEY}.tie', self.tie, (*self.planes, None))
        if not isinstance(self.agreement_mask, bool):
            raise TypeError(
                f'{KEY}.agreement_mask must be True or False, got {self.agreement_mask!r}'
            )
        if not isinstance(self.member, (str, type(None))):
            raise TypeError(f'{KEY}.member must be a name or None, got {self.member!r}')

    def unused(self) -> Dict[str, str]:
        """See :meth:`RoundSettings.unused`."""
        found = dict(tie=f'fusion={self.fusion!r}') if self.fusion in TIELESS else {}
        students = () if self.rounds else ('init', 'agreement_mask')
        return {**found, **dict.fromkeys(students, 'rounds=0')}

    def plane_fusion(self, agreement_mask: bool) -> PlaneFusion:
        """Fusion by these settings.

        Args:
            agreement_mask (bool): Whether ``agreement_mask`` is used: results have every voxel.
        """
        return PlaneFusion(
            self.fusion,
            -1 if self.tie is None else self.planes.index(self.tie),
            self.clean,
            self.agreement_mask and agreement_mask,
        )


def _checked_planes(planes: Any) -> Tuple[str, ...]:
    """Planes as a tuple.

    Raises:
        TypeError: If they are no list.
        ValueError: If one is unknown or named twice, or there are fewer than two.
    """
    if not isinstance(planes, (list, tuple)):
        raise TypeError(f"{KEY}.planes must be a list such as ('x', 'y', 'z'), got {planes!r}")
    unknown = [plane for plane in planes if plane not in PLANES]
    if unknown:
        raise ValueError(f'{KEY}.planes has the unknown plane {unknown[0]!r}: known are {PLANES}')
    if len(set(planes)) != len(planes):
        raise ValueError(f'{KEY}.planes={tuple(planes)} names a plane twice')
    if len(planes) < 2:
        raise ValueError(
            f'{KEY}.planes={tuple(planes)}: co-training needs two planes at least; train a single '
            'plane with tools/train.py'
        )
    return tuple(planes)
