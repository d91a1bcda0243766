# Copyright (c) mmseg_ctt contributors.
"""Start of a run: nothing is written to the work folder before the set-up has passed.

Importing this module extends mmengine's ``Runner``, so that mmseg's own scripts behave in the same
way. A runner makes its folders, log file, recorded config and back ends of the visualizer when the
hooks of ``before_train`` (``before_val``, ``before_test``) are through: data sets, model, optimiser
and hooks are built by then, and weights are loaded. A start that fails earlier leaves no trace, and
one that fails in its first iteration no recorded config.
"""

import inspect
import os.path as osp
from functools import partial, wraps
from tempfile import TemporaryDirectory
from typing import Any, Optional

import torch.nn as nn
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from .held_log import SHOWN, hold
from .hooks.start_hook import StartHook
from .live_line import stop_live_line
from .output_files import OutputNamesHook
from .start import Start
from .workers import LOADERS, limit_workers, worker_lines

_init, _build_logger = Runner.__init__, Runner.build_logger
_build_visualizer, _train = Runner.build_visualizer, Runner.train
_signature = inspect.signature(_init)


@wraps(_init)
def _held_init(self: Runner, *args: Any, **kwargs: Any) -> None:
    """``Runner.__init__`` of mmengine, whose folders are made in a temporary one."""
    given = _signature.bind(self, *args, **kwargs)
    self._start = Start(given.arguments['work_dir'])
    loaders = {name: given.arguments.get(name) for name in LOADERS}
    self._start.notes = worker_lines(loaders)
    given.arguments.update(limit_workers(loaders)[0])
    with TemporaryDirectory() as folder:
        given.arguments['work_dir'] = folder
        _init(*given.args, **given.kwargs)
    self.register_hook(OutputNamesHook())
    self.register_hook(StartHook(self._start), priority='LOWEST')


@wraps(_build_logger)
def _held_logger(
    self: Runner, log_level: Any = 'INFO', log_file: Optional[str] = None, **kwargs: Any
) -> MMLogger:
    """``Runner.build_logger`` of mmengine, whose file is written later."""
    if self._start.passed or 'file_handler_cfg' in kwargs:
        return _build_logger(self, log_level, log_file, **kwargs)
    self._work_dir = self._start.work_dir
    self._log_dir = osp.join(self._work_dir, self.timestamp)
    unopened = dict(type='WatchedFileHandler', mode='a', delay=True)
    logger = _build_logger(self, log_level, log_file, file_handler_cfg=unopened, **kwargs)
    hold(logger)
    line = f'set-up of {self._experiment_name}: builds and checks data sets, model and hooks'
    logger.info(line, extra={SHOWN: True})
    return logger


@wraps(_build_visualizer)
def _held_visualizer(self: Runner, visualizer: Any = None) -> Visualizer:
    """``Runner.build_visualizer`` of mmengine; its back ends get the config later."""
    built = _build_visualizer(self, visualizer)
    if not self._start.passed:
        built.__dict__.pop('add_config', None)  # of an earlier runner that failed
        add_config = built.add_config

        def write_config(config: Any, **kwargs: Any) -> None:
            built.__dict__.pop('add_config', None)
            add_config(config, **kwargs)

        built.add_config = lambda config, **kwargs: self._start.later.append(
            partial(write_config, config, **kwargs)
        )
    return built


def _held_dump(self: Runner) -> None:
    """``Runner.dump_config`` of mmengine, when the set-up has passed, and without overwriting."""
    if self._start.passed and is_main_process():
        self._start.record(self)


@wraps(_train)
def _held_train(self: Runner) -> nn.Module:
    """``Runner.train`` of mmengine, then :meth:`Start.take_back` where it fails.

    The live line of the terminal ends in any case.
    """
    try:
        return _train(self)
    except Exception:  # not the end after a signal, which leaves a checkpoint
        self._start.take_back()
        raise
    finally:
        stop_live_line()  # what ended the run, also a signal, is printed to a plain terminal


Runner.__init__ = _held_init
Runner.train = _held_train
Runner.build_logger = _held_logger
Runner.build_visualizer = _held_visualizer
Runner.dump_config = _held_dump
