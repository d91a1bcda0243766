# Copyright (c) mmseg_ctt contributors.
"""Time to the end of a training, from the times of its iterations and validations so far."""

import time
from collections import deque
from statistics import median
from typing import Any, Deque, List, NamedTuple, Optional

from mmengine.runner import IterBasedTrainLoop

ITERATIONS = 50  # of which the pace is the median, so that a checkpoint does not count


class TimeLeft(NamedTuple):
    """Estimated time to the end.

    Attributes:
        seconds (float): Time left.
        with_validations (bool): Whether validations to come are in it.
    """

    seconds: float
    with_validations: bool


class RunPace:
    """Seconds of an iteration and of a validation; :meth:`left` estimates the end.

    An iteration is timed from the end of the one before, or of a validation, and the first of a
    process, with the start of its workers, does not count. A validation is known when it has ended
    once, or, while the first is running, from its images so far.
    """

    def __init__(self) -> None:
        self._mark: Optional[float] = None
        self._iterations: Deque[float] = deque(maxlen=ITERATIONS)
        self._validations: List[float] = []
        self._begin: Optional[float] = None  # of the validation that is running
        self._ratio = 0.0  # of its images that are done

    def end_iteration(self) -> None:
        """Call it behind every iteration."""
        now = time.monotonic()
        if self._mark is not None:
            self._iterations.append(now - self._mark)
        self._mark = now

    def begin_validation(self) -> None:
        """Call it before a validation."""
        self._begin, self._ratio = time.monotonic(), 0.0

    def end_image(self, done: int, total: int) -> None:
        """Call it when ``done`` of ``total`` batches of a validation are done."""
        self._ratio = done / max(total, 1)

    def end_validation(self) -> float:
        """Call it behind a validation; returns its seconds."""
        now = time.monotonic()
        seconds = now - (now if self._begin is None else self._begin)
        self._validations.append(seconds)
        self._begin = None
        if self._mark is not None:
            self._mark = now
        return seconds

    def left(self, loop: Any, done: int) -> Optional[TimeLeft]:
        """Estimated time to the end of a training.

        Args:
            loop (BaseLoop): Loop of the training.
            done (int): Iterations that are done.

        Returns:
            TimeLeft: None before the second iteration of the process.
        """
        if not self._iterations:
            return None
        seconds = median(self._iterations) * max(loop.max_iters - done, 0)
        number = validations_left(loop, done)
        if number is None:
            return TimeLeft(seconds, False)
        whole, running = self._validation()
        known = whole is not None
        if whole is not None:
            seconds += number * whole + (max(whole - running, 0.0) if self._begin else 0.0)
        return TimeLeft(seconds, known or not (number or self._begin))

    def _validation(self) -> tuple:
        """Seconds of a whole validation, None if unknown, and of the running one so far."""
        running = 0.0 if self._begin is None else time.monotonic() - self._begin
        if self._validations:
            return median(self._validations), running
        return (running / self._ratio if self._ratio else None), running


def validations_left(loop: Any, done: int) -> Optional[int]:
    """Number of validations after an iteration, as loops by iterations have them.

    Args:
        loop (BaseLoop): Loop of the training.
        done (int): Iterations that are done; a validation at this one counts as begun.

    Returns:
        int: None for a loop by epochs.
    """
    if not isinstance(loop, IterBasedTrainLoop):
        return None
    if loop.runner._val_loop is None:
        return 0
    last, every = loop.max_iters, loop.val_interval
    first = max(done + 1, loop.val_begin)
    if last < first:
        return 0
    return last // every - (first - 1) // every + (last % every > 0)
