# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional

from ..nn.settings import as_dict, check_keys

MODES = ('whole', 'restricted')
COUNTS = ('image', 'pixel')
KEY = 'self_training'
TYPES = (
    (('generations',), (int,), 'a whole number'),
    (('alpha', 'confidence_threshold', 'min_area', 'low_temperature'), (int, float), 'a number'),
    (('align',), (bool,), 'True or False'),
    (('member',), (str, type(None)), 'a name or None'),
)
RENAMED = {'sure': 'confidence_threshold'}  # keys of 0.1, still accepted


@dataclass(frozen=True)
class Settings:
    """Settings of self-training, ``self_training`` of a config.

    Attributes:
        generations (int): Number of complete trainings, the first on the labels alone.
        alpha (float): Exponent of the class rebalancing; 0 keeps all pseudo-labels.
        mode (str): Pixels of a selected image that are used. ``'whole'``: those that reach the
            threshold of their class; ``'restricted'``: all of the classes it was selected for,
            of other classes those that reach ``confidence_threshold``.
        confidence_threshold (float): See ``mode``; ``sure`` in 0.1.
        min_area (float): Fraction of an image that a class must cover to count as shown.
        count (str): Unit of the class frequencies: ``'image'`` or ``'pixel'``.
        align (bool): CReST+: align the distribution of pseudo-labels while training.
        low_temperature (float): Temperature ``t_min`` of the target distribution in the last
            generation.
        member (str, optional): Member that predicts the labels; None is the config's
            ``test_cfg.predict_on``.

    Raises:
        TypeError: If a number is none, or ``align`` no bool.
        ValueError: For an unknown value.
    """

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
            if getattr(self, name) not in known:
                raise ValueError(
                    f'{KEY}.{name} must be one of {known}, got {getattr(self, name)!r}'
                )
        for name in ('confidence_threshold', 'min_area', 'low_temperature'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{KEY}.{name} must be in [0, 1], got {getattr(self, name)}')
        if self.generations < 1 or self.alpha < 0:
            raise ValueError(
                f'{KEY}.generations must be positive and {KEY}.alpha not negative, '
                f'got {self.generations} and {self.alpha}'
            )

    def _check_types(self) -> None:
        for names, kinds, expected in TYPES:
            for name in names:
                value = getattr(self, name)
                if not isinstance(value, kinds) or (bool not in kinds and isinstance(value, bool)):
                    raise TypeError(f'{KEY}.{name} must be {expected}, got {value!r}')

    @classmethod
    def of(cls, given: Optional[Mapping[str, Any]]) -> 'Settings':
        """Settings from the dict of a config; absent keys have their defaults.

        Raises:
            TypeError: If it is no dict.
            ValueError: For an unknown key or value.
        """
        given = {RENAMED.get(key, key): value for key, value in as_dict(KEY, given).items()}
        check_keys(KEY, given, [field.name for field in fields(cls)])
        return cls(**given)
