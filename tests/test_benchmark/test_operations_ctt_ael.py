# Copyright (c) mmseg_ctt contributors.
"""Operations of CTT and AEL outside the networks, on toy data, without autograd's.

Images of other sizes need as many. A limit is a little above what a step needs; a test that fails
after a change says that every step has become dearer.
"""

import pytest
from mmengine.runner import Runner
from toy_data import toy_config, toy_ctt, toy_method, write_toy_data
from versions import COUNTED

from mmseg_ctt.lab.benchmark import preparation
from mmseg_ctt.lab.benchmark.sections import SectionStack
from mmseg_ctt.lab.benchmark.step import StepBenchmark

CTT = 430  # operations
LOG = dict(type='LogValuesHook')  # as in configs/_base_/default_runtime.py
ALIGNMENT = dict(type='DistributionAlignmentHook', uniform_start=False, only_raise=True)


@pytest.fixture
def count(tmp_path):
    """Operations of a step outside the networks and the backward pass, by section."""
    root = write_toy_data(tmp_path / 'data')

    def call(model, **hooks):
        hooks.update(runtime_info=LOG)
        cfg = toy_config(root, tmp_path / 'work', hooks, model=model)
        runner = Runner.from_cfg(preparation.prepare_config(cfg, str(tmp_path / 'benchmark')))

        def act(loop):
            counter = StepBenchmark(loop, stack).count()[0]
            sections = {name for name, _ in counter.outside} - {'backward'}
            return {name: counter.total(counter.outside, name) for name in sections}

        stack = SectionStack()
        return preparation.run_in_train_loop(runner, stack, act)

    return call


@COUNTED
def test_ctt(count):
    counts = count(toy_ctt())
    assert counts['contrast'] <= 156 and counts['bank'] <= 60, counts
    assert sum(counts.values()) <= CTT, counts


@COUNTED
def test_three_pairs_need_hardly_more_than_two(count):
    two, three = (count(toy_ctt(num_pairs=number)) for number in (2, 3))
    for name in ('contrast', 'bank'):  # pooling and joining of outputs
        assert three[name] - two[name] <= 4, (two, three)


@COUNTED
def test_ctt_with_alignment_and_class_thresholds(count):
    consistency = dict(select='pixel', class_thresholds=dict())
    counts = count(toy_ctt(consistency=consistency), alignment=ALIGNMENT)
    assert counts['other'] <= 76 and counts['pseudo-labels'] <= 40, counts
    assert sum(counts.values()) <= CTT + 90, counts


@COUNTED
def test_ael(count):
    counts = count(toy_method('AEL'))
    assert counts['losses'] <= 200, counts
    assert sum(counts.values()) <= 650, counts
