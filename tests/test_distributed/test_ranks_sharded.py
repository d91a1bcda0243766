# Copyright (c) mmseg_ctt contributors.
"""An optimiser whose state is divided among two ranks trains as one that is not."""

from typing import Dict, NamedTuple

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from ranks import on_ranks, rank_runner
from torch import Tensor
from toy import toy_model
from toy_data import toy_config
from versions import GLOO_BOOL

from mmseg_ctt.nn.unwrap import unwrapped

pytestmark = GLOO_BOOL

ADAMW = dict(type='AdamW', lr=1e-3, weight_decay=0.1)
SHARDED = dict(ADAMW, type='ZeroRedundancyOptimizer', optimizer_type='AdamW')
CLIP = dict(max_norm=1.0)


class Trained(NamedTuple):
    """State of the model at the end, and numbers in the optimiser's state of this rank."""

    model: Dict[str, Tensor]
    held: int


class State(Hook):
    """The model after the last iteration, and the size of this rank's part of the optimiser."""

    priority = 'LOWEST'

    def after_train(self, runner):
        optimizer = runner.optim_wrapper.optimizer
        inner = getattr(optimizer, 'optim', optimizer)
        self.model = {k: v.clone() for k, v in unwrapped(runner.model).state_dict().items()}
        self.held = sum(v.numel() for state in inner.state.values() for v in state.values())


def changes(optimizer, iterations, **more):
    return dict(
        optim_wrapper=dict(
            type='OptimWrapper',
            constructor='StudentOptimWrapperConstructor',
            optimizer=dict(optimizer),
            clip_grad=CLIP,
            paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5)}, norm_decay_mult=0.0),
        ),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=2)),
        **more,
    )


def train(root, work, optimizer, iterations, ranks=2, **more):
    settings = changes(optimizer, iterations, **more)

    def body(rank):
        build = rank_runner if ranks > 1 else lambda *a, **k: Runner.from_cfg(toy_config(*a, **k))
        runner = build(root, work, **settings)
        state = State()
        runner.register_hook(state)
        runner.train()
        return Trained(state.model, state.held)

    return on_ranks(body, ranks) if ranks > 1 else [body(0)]


def saved(work, iteration):
    return torch.load(work / f'iter_{iteration}.pth')


def assert_equal(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def assert_equal_states(first, second):
    assert first['state'].keys() == second['state'].keys()
    for number, state in second['state'].items():
        assert_equal(state, first['state'][number])


def test_as_with_whole_states(root, tmp_path):
    """Two ranks train, save and resume exactly; a single one goes on with the whole state."""
    sharded = train(root, tmp_path / 'sharded', SHARDED, 3)
    plain = train(root, tmp_path / 'plain', ADAMW, 3)
    assert_equal(sharded[0].model, plain[0].model)
    students = {k: v for k, v in sharded[0].model.items() if 'students' in k and 'running' not in k}
    assert_equal(students, {name: sharded[1].model[name] for name in students})
    assert sum(part.held for part in sharded) == plain[0].held == plain[1].held
    assert 0.3 < sharded[0].held / plain[0].held < 0.7
    states = [saved(tmp_path / name, 3)['optimizer'] for name in ('sharded', 'plain')]
    assert_equal_states(*states)
    assert [set(group) for group in states[0]['param_groups']] == [
        set(group) for group in states[1]['param_groups']
    ]
    middle = dict(load_from=str(tmp_path / 'sharded' / 'iter_2.pth'), resume=True)
    resumed = train(root, tmp_path / 'resumed', SHARDED, 3, **middle)
    assert_equal(resumed[0].model, sharded[0].model)
    assert_equal_states(saved(tmp_path / 'resumed', 3)['optimizer'], states[0])
    (single,) = train(root, tmp_path / 'single', SHARDED, 3, ranks=1, **middle)
    assert single.held == plain[0].held
    steps = saved(tmp_path / 'single', 3)['optimizer']['state'].values()
    assert {float(state['step']) for state in steps} == {3.0}


def test_one_process_needs_no_division():
    wrapper = build_optim_wrapper(toy_model(), changes(SHARDED, 1)['optim_wrapper'])
    assert type(wrapper.optimizer) is torch.optim.AdamW
    assert wrapper.optimizer.param_groups[0]['weight_decay'] == 0.1


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(optimizer_type=None), 'optimizer_type=None is no optimiser of torch.optim'),
        (dict(optimizer_type='AdamX'), "optimizer_type='AdamX' is no optimiser of torch.optim"),
        (dict(overlap_with_ddp=True), 'overlap_with_ddp=True makes no step'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build_optim_wrapper(toy_model(), changes({**SHARDED, **wrong}, 1)['optim_wrapper'])
