# Copyright (c) mmseg_ctt contributors.
from types import SimpleNamespace

import pytest
from mmengine.runner import IterBasedTrainLoop

from mmseg_ctt.engine import run_pace
from mmseg_ctt.engine.run_pace import RunPace, TimeLeft, validations_left


class Loop(IterBasedTrainLoop):
    """What the estimate reads of a loop."""

    def __init__(self, last: int, every: int, begin: int = 1, validates: bool = True) -> None:
        self._max_iters, self.val_interval, self.val_begin = last, every, begin
        self._runner = SimpleNamespace(_val_loop=object() if validates else None)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(run_pace.time, 'monotonic', lambda: clock.now)
    return clock


@pytest.mark.parametrize('last, every, begin', [(10, 3, 1), (9, 3, 1), (10, 3, 7), (4, 100, 1)])
def test_number_of_validations(last, every, begin):
    """Those of the loop, counted one by one."""
    loop = Loop(last, every, begin)
    due = [i for i in range(1, last + 1) if i >= begin and (i % every == 0 or i == last)]
    for done in range(last + 1):
        assert validations_left(loop, done) == sum(i > done for i in due), done


def test_runs_without_validations_and_by_epochs():
    assert validations_left(Loop(9, 3, validates=False), 1) == 0
    assert validations_left(SimpleNamespace(max_iters=9), 1) is None


def test_time_left(clock):
    pace, loop = RunPace(), Loop(10, 4)  # validations at 4, 8 and 10
    assert pace.left(loop, 0) is None

    def iterate(seconds):
        clock.now += seconds
        pace.end_iteration()

    iterate(50.0)  # with the start of the workers
    assert pace.left(loop, 1) is None
    iterate(2.0)
    iterate(2.0)
    assert pace.left(loop, 3) == TimeLeft(14.0, False)
    iterate(2.0)
    pace.begin_validation()
    assert pace.left(loop, 4) == TimeLeft(12.0, False)
    clock.now += 5
    pace.end_image(1, 4)
    assert pace.left(loop, 4) == TimeLeft(12.0 + 2 * 20 + 15, True)
    clock.now += 11
    assert pace.end_validation() == 16
    assert pace.left(loop, 4) == TimeLeft(12.0 + 2 * 16, True)
    iterate(2.0)  # the validation is no part of it
    iterate(90.0)  # a checkpoint is none of the pace
    assert pace.left(loop, 6) == TimeLeft(8.0 + 2 * 16, True)
    assert pace.left(loop, 10) == TimeLeft(0.0, True)


def test_without_validations_the_time_is_whole(clock):
    pace, loop = RunPace(), Loop(10, 4, validates=False)
    for _ in range(2):
        clock.now += 1
        pace.end_iteration()
    assert pace.left(loop, 2) == TimeLeft(8.0, True)
    assert pace.left(SimpleNamespace(max_iters=10), 2) == TimeLeft(8.0, False)
