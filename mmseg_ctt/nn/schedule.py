# Copyright (c) mmseg_ctt contributors.
"""Schedules over the iterations of a run: they need neither state nor a second ``max_iters``."""

import math
from typing import Mapping, NamedTuple, Tuple, Union

from mmengine.logging import MessageHub
from torch import Tensor

from ..functional import cosine_ramp, linear_ramp, sigmoid_ramp
from .settings import as_dict, check_settings

RAMPS = dict(linear=linear_ramp, sigmoid=sigmoid_ramp, cosine=cosine_ramp)


def iterations() -> Tuple[int, int]:
    """Iterations done and in all; 0 and 0 where no run is under way.

    mmengine keeps both numbers on the host and, when a run is resumed, sets them before the first
    iteration.
    """
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter', 0), hub.get_info('max_iters', 0)


def training_progress() -> float:
    """Ratio of the iterations of the run that are done, in [0, 1]; 0 outside of a run."""
    done, total = iterations()
    return min(done / total, 1.0) if total else 0.0


def weighted(value: Tensor, weight: float) -> Tensor:
    """A loss times its weight; with 1 the loss itself, which is one operation fewer."""
    return value if weight == 1 else value * weight


class RampUp:
    """Factor that climbs to 1 in the first part of a run.

    Args:
        ratio (float): Part of the iterations that the climb takes, in [0, 1]; 0: the factor is 1.
        shape (str): ``'linear'``: from 0; ``'sigmoid'``: ``exp(-5 (1 - t)^2)``, from 0.007 (mean
            teacher, temporal ensembling); ``'cosine'``: ``(1 - cos(pi t)) / 2``, from 0 (PS-MT).
            Defaults to 'linear'.

    Raises:
        ValueError: If ``ratio`` lies outside [0, 1] or ``shape`` is unknown.
    """

    def __init__(self, ratio: float = 0.0, shape: str = 'linear') -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f'model.ramp_up is a ratio of the training, in [0, 1]; got {ratio}')
        if shape not in RAMPS:
            raise ValueError(f'model.ramp_up.shape must be one of {tuple(RAMPS)}, got {shape!r}')
        self.ratio, self.shape = ratio, shape

    @classmethod
    def of(
        cls, given: Union[None, float, Mapping], default: Union[float, Mapping] = 0.0
    ) -> 'RampUp':
        """From a config.

        Args:
            given (float | dict, optional): A number is the ratio, a dict has any of both settings.
            default (float | dict): Of the method, for what is not given. Defaults to 0: none.
        """
        settings = {**_as_settings(default), **_as_settings(given)}
        check_settings('model.ramp_up', settings, cls)
        return cls(**settings)

    def __call__(self) -> float:
        """Factor of this iteration, in [0, 1]; 1 outside of a run."""
        done, total = iterations()
        climb = self.ratio * total
        progress = min(done / climb, 1.0) if climb else 1.0
        return RAMPS[self.shape](progress)


def _as_settings(given: Union[None, float, Mapping]) -> dict:
    if isinstance(given, (int, float)):
        return dict(ratio=given)
    return as_dict('model.ramp_up', given)


class StartPoint:
    """Point of a run from which a part of a method is at work.

    Args:
        key (str): Place in the config, for errors.
        given (int | float): Iterations before it; as a float in [0, 1) the ratio of the run that is
            over by then.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is negative, or a float of 1 or more.
    """

    def __init__(self, key: str, given: Union[int, float]) -> None:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise TypeError(f'{key} must be a number, got {given!r}')
        if given < 0 or (isinstance(given, float) and given >= 1):
            raise ValueError(
                f'{key} must be an iteration, such as 500, or a ratio of the run in [0, 1), such '
                f'as 0.3; got {given}'
            )
        self.key, self.given = key, given

    def stage(self, total: int, effect: str) -> Tuple[str, int, str, str]:
        """For :func:`mmseg_ctt.engine.guards.check_stages`, in a run of ``total`` iterations.

        Args:
            total (int): Iterations of the run.
            effect (str): What is missing if it never begins.
        """
        return f'{self.key}={self.given}', self.iteration(total), effect, 'lower it'

    def iteration(self, total: int) -> int:
        """Iterations before it, in a run of ``total``."""
        return round(self.given * total) if isinstance(self.given, float) else self.given

    def __call__(self) -> bool:
        """Whether it is reached; outside of a run it is."""
        done, total = iterations()
        return not total or done >= self.iteration(total)


class Shifts:
    """Periods of a run, in which members are at work one after the other.

    Who is at work follows from the iteration alone, so that there is no state here.

    Args:
        key (str): Place in the config, for errors.
        period (int | float): Iterations of a shift; as a float in (0, 1) its ratio of the run.
        number (int): Of members. Defaults to 2.
        restart (bool): Whether a member begins anew with each of its shifts. Defaults to False.

    Raises:
        TypeError: If the period is no number.
        ValueError: If it is not positive, or a float of 1 or more.
    """

    def __init__(
        self, key: str, period: Union[int, float], number: int = 2, restart: bool = False
    ) -> None:
        if isinstance(period, bool) or not isinstance(period, (int, float)):
            raise TypeError(f'{key} must be a number, got {period!r}')
        if period <= 0 or (isinstance(period, float) and period >= 1):
            raise ValueError(
                f'{key} must be a number of iterations, such as 100, or a ratio of the run in '
                f'(0, 1), such as 0.05; got {period}'
            )
        self.key, self.given, self.number, self.restart = key, period, number, restart

    def stage(self, total: int) -> Tuple[str, int, str, str]:
        """The first shift of the last member: see :meth:`StartPoint.stage`.

        Args:
            total (int): Iterations of the run.
        """
        start = (self.number - 1) * self.period(total)
        effect = f'the last of its {self.number} members is never at work'
        return f'{self.key}={self.given}', start, effect, 'lower it'

    def period(self, total: int = 0) -> int:
        """Iterations of a shift.

        Args:
            total (int): Iterations of the run. Defaults to 0: of this one.
        """
        total = total or iterations()[1]
        return max(round(self.given * total), 1) if isinstance(self.given, float) else self.given

    def turn(self) -> int:
        """Number of the present shift, of whichever member; 0 outside of a run."""
        return iterations()[0] // self.period()

    def active(self) -> int:
        """Member at work in this iteration; the first one outside of a run."""
        return self.turn() % self.number

    def left_out(self, accumulation: int) -> bool:
        """Whether a member is never at work in the last of every ``accumulation`` iterations."""
        period = self.period()
        return math.gcd(accumulation, self.number * period) > period

    def done(self, member: int) -> int:
        """Iterations of a member at work before this one; of its present shift with ``restart``."""
        period, done = self.period(), iterations()[0]
        rounds, rest = divmod(done, period * self.number)
        current = min(max(rest - member * period, 0), period)
        return current if self.restart else rounds * period + current


class Shift(NamedTuple):
    """The shifts of one member.

    Attributes:
        shifts (Shifts): Of all members.
        member (int): Its position among them.
    """

    shifts: Shifts
    member: int

    def active(self) -> bool:
        """Whether it is at work in this iteration."""
        return self.shifts.active() == self.member
