# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from typing import ClassVar, Dict, Optional

from ..nn.settings import check_choice
from .round_settings import KEY, RoundSettings

MODES = ('whole', 'restricted')
COUNTS = ('image', 'pixel')
SELECTING = ('alpha', 'mode', 'confidence_threshold', 'min_area', 'count', 'member')
TYPES = (
    (('generations',), (int,), 'a whole number'),
    (('alpha', 'confidence_threshold', 'min_area', 'low_temperature'), (int, float), 'a number'),
    (('align',), (bool,), 'True or False'),
    (('member',), (str, type(None)), 'a name or None'),
)


@dataclass(frozen=True)
class Settings(RoundSettings):
    """Settings of CReST, ``self_training`` of a config.

    Attributes:
        generations (int): Number of complete trainings, the first on the labels alone.
        alpha (float): Exponent of the class rebalancing; 0 keeps all pseudo-labels.
        mode (str): Pixels of a selected image that are used. ``'whole'``: those that reach the
            threshold of their class; ``'restricted'``: all of the classes it was selected for,
            of other classes those that reach ``confidence_threshold``.
        confidence_threshold (float): See ``mode``, of ``'restricted'`` alone; ``sure`` in 0.1.
        min_area (float): Fraction of an image that a class must cover to count as shown.
        count (str): Unit of the class frequencies: ``'image'`` or ``'pixel'``.
        align (bool): CReST+: align the distribution of pseudo-labels while training.
        low_temperature (float): Temperature ``t_min`` of the target distribution in the last
            generation, with ``align``.
        member (str, optional): Member that predicts the labels; None is the config's
            ``test_cfg.predict_on``.

    Raises:
        TypeError: If a number is none, or ``align`` no bool.
        ValueError: For an unknown value, in a config for an unused one, too.
    """

    renamed: ClassVar[Dict[str, str]] = {'sure': 'confidence_threshold'}  # key of 0.1

    generations: int = 3
    alpha: float = 1 / 3
    mode: str = 'whole'
    confidence_threshold: float = 0.95
    min_area: float = 0.001
    count: str = 'image'
    align: bool = False
    low_temperature: float = 0.5
    member: Optional[str] = None

    def __post_init__(self) -> None:
        self._check_types()
        for name, known in (('mode', MODES), ('count', COUNTS)):
            check_choice(f'{KEY}.{name}', getattr(self, name), known)
        for name in ('confidence_threshold', 'min_area', 'low_temperature'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{KEY}.{name} must be in [0, 1], got {getattr(self, name)}')
        if self.generations < 1 or self.alpha < 0:
            raise ValueError(
                f'{KEY}.generations must be positive and {KEY}.alpha not negative, '
                f'got {self.generations} and {self.alpha}'
            )

    def unused(self) -> Dict[str, str]:
        """See :meth:`RoundSettings.unused`."""
        found = {} if self.align else dict(low_temperature='align=False')
        if self.mode == 'whole':
            found['confidence_threshold'] = "mode='whole'"
        if self.generations == 1:
            found.update(dict.fromkeys(SELECTING, 'generations=1'))
        return found

    def _check_types(self) -> None:
        for names, kinds, expected in TYPES:
            for name in names:
                value = getattr(self, name)
                if not isinstance(value, kinds) or (bool not in kinds and isinstance(value, bool)):
                    raise TypeError(f'{KEY}.{name} must be {expected}, got {value!r}')
