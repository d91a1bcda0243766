# Copyright (c) mmseg_ctt contributors.
"""How many operations a step of the simple methods takes outside its networks.

The limits are what was counted on toy data, forward operations without autograd's. The gradient
that the cross-entropy forms on the way is among them. A test that fails after a change says that
every step of the method has become dearer.
"""

import pytest
from mmengine.runner import Runner
from toy_data import toy_config, toy_method, write_toy_data
from versions import COUNTED

from mmseg_ctt.lab.benchmark import preparation
from mmseg_ctt.lab.benchmark.sections import SectionStack
from mmseg_ctt.lab.benchmark.step import StepBenchmark

# by method: operations without the strong view, those of the strong view, waits for the device
LIMITS = dict(
    UniMatch=(120, 93), FixMatchSeg=(104, 80), CrossPseudoSupervision=(113, 9), MeanTeacher=(85, 58)
)
HOOKS = dict(runtime_info=dict(type='LogValuesHook'))  # as in configs/_base_/default_runtime.py


@pytest.fixture
def counted(tmp_path):
    """Counts of the third step of a method."""

    def call(kind):
        cfg = toy_config(
            write_toy_data(tmp_path / 'data'), tmp_path / 'work', HOOKS, model=toy_method(kind)
        )
        runner = Runner.from_cfg(preparation.prepare_config(cfg, str(tmp_path / 'benchmark')))
        stack = SectionStack()

        def act(loop):
            benchmark = StepBenchmark(loop, stack)
            benchmark.step()
            return benchmark.count()[0]

        return preparation.run_in_train_loop(runner, stack, act)

    return call


@COUNTED
@pytest.mark.parametrize('kind', LIMITS)
def test_operations_outside_the_networks(kind, counted):
    counter = counted(kind)
    strong = counter.total(counter.outside, 'strong view')
    others = counter.total(counter.outside) - counter.autograd - strong
    limit, strong_limit = LIMITS[kind]
    assert others <= limit <= 150 and strong <= strong_limit
    assert counter.total(counter.synchronisations) == 1  # all values of the log together
