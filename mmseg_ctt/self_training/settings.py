# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional

from ..nn.settings import as_dict, check_keys

MODES = ('whole', 'restricted')
COUNTS = ('image', 'pixel')
KEY = 'self_training'


@dataclass(frozen=True)
class Settings:
    """``self_training`` of a config.

    Attributes:
        generations (int): Complete trainings, the first on the labels alone.
        alpha (float): Exponent of the class rebalancing; 0 keeps all pseudo-labels.
        mode (str): ``'whole'``: of a selected image every pixel from its class's threshold;
            ``'restricted'``: every pixel of the classes it was selected for, others from ``sure``.
        sure (float): See ``mode``.
        min_area (float): Share of an image from which it shows a class.
        count (str): Class frequencies of the selection: ``'image'`` or ``'pixel'``.
        align (bool): CReST+: align the distribution of pseudo-labels while training.
        low_temperature (float): ``t_min`` of the last generation's target distribution.
        member (str, optional): That labels; None is the config's ``test_cfg.predict_on``.

    Raises:
        ValueError: For an unknown key or value.
    """

    generations: int = 3
    alpha: float = 1 / 3
    mode: str = 'whole'
    sure: float = 0.95
    min_area: float = 0.001
    count: str = 'image'
    align: bool = False
    low_temperature: float = 0.5
    member: Optional[str] = None

    def __post_init__(self) -> None:
        for name, known in (('mode', MODES), ('count', COUNTS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f'{KEY}.{name} must be one of {known}, got {getattr(self, name)!r}'
                )
        for name in ('sure', 'min_area', 'low_temperature'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{KEY}.{name} must be in [0, 1], got {getattr(self, name)}')
        if self.generations < 1 or self.alpha < 0:
            raise ValueError(
                f'{KEY}.generations must be positive and {KEY}.alpha not negative, '
                f'got {self.generations} and {self.alpha}'
            )

    @classmethod
    def of(cls, given: Optional[Mapping[str, Any]]) -> 'Settings':
        """From a config's dict; what it leaves out has its default.

        Raises:
            TypeError: If it is no dict.
            ValueError: For an unknown key or value.
        """
        given = as_dict(KEY, given)
        check_keys(KEY, given, [field.name for field in fields(cls)])
        return cls(**given)
