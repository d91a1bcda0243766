# Copyright (c) mmseg_ctt contributors.
"""Rounds of self-training in a test: their trainings run in this process, or are stubs."""

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_ctt.engine.processes import Resources
from mmseg_ctt.self_training import rounds


def resources() -> Resources:
    """One thread, and no signal to stop yet."""
    return Resources(1, stop=threading.Event())


@contextmanager
def trainings_by(train: Callable[[Config], None]) -> Iterator[List[list]]:
    """Each training is a call with its config; the commands that would have started them."""
    commands: List[list] = []

    def here(command: list, log: Path, resources: Resources, root: Path, keep_open=()) -> None:
        commands.append(command)
        cfg = Config.fromfile(command[2])
        cfg.work_dir, cfg.experiment_name = command[4], f'{command[4]}-{len(commands)}'
        train(cfg)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, 'run_logged', here)
        yield commands


@contextmanager
def trainings_here() -> Iterator[List[list]]:
    """Trainings run in this process; the commands that would have started them."""
    with trainings_by(lambda cfg: Runner.from_cfg(cfg).train()) as commands:
        yield commands
