# Copyright (c) mmseg_ctt contributors.
"""What libraries do again and again beside a run, and what no test is about: done once or not."""

import functools
from types import SimpleNamespace

import mmengine.config.config
import mmengine.dataset.base_dataset
import mmengine.runner.runner

collect_env = functools.lru_cache(maxsize=None)(mmengine.runner.runner.collect_env)


def take_shortcuts() -> None:
    """Take them in this process, and in those that it forks."""
    # mmengine lays its config out with yapf three times a run, which takes longer than the run
    mmengine.config.config.FormatCode = lambda text, **_: (text, False)
    # it collects garbage with every data set, which finds none but takes 20 ms
    mmengine.dataset.base_dataset.gc = SimpleNamespace(collect=int)
    # it starts four processes to ask for the versions of compilers
    mmengine.runner.runner.collect_env = lambda: collect_env().copy()
