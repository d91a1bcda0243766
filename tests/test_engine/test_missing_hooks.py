# Copyright (c) mmseg_ctt contributors.
"""A run without a hook that its method needs ends before the first iteration, for every hook."""

import pytest
from mmengine.runner import Runner
from toy_data import required_hooks, toy_config, toy_method, write_toy_data

from mmseg_ctt.methods import registered_methods

CASES = [
    (kind, name, hook['type'])
    for kind in sorted(registered_methods())
    for name, hook in required_hooks(toy_method(kind)).items()
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp('data'))


@pytest.mark.parametrize('kind,name,hook', CASES)
def test_a_run_without_it_is_refused(kind, name, hook, root, tmp_path):
    cfg = toy_config(root, tmp_path, {name: None}, model=toy_method(kind))
    runner = Runner.from_cfg(cfg)
    with pytest.raises(
        ValueError, match=rf'add default_hooks.{name}=dict\(type="{hook}"\)'
    ) as refused:
        runner.train()
    assert '\n' not in str(refused.value) and runner.iter == 0


def test_anchors_of_stpg_are_matched_by_a_hook_that_cannot_be_forgotten():
    assert ('STPG', 'anchor_assignment', 'AnchorAssignmentHook') in CASES
