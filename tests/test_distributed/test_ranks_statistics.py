# Copyright (c) mmseg_ctt contributors.
"""Running statistics of batch norm: each rank has its own, but for validations and checkpoints."""

import pytest
import torch
from mmengine.hooks import Hook
from ranks import Counted, on_ranks, rank_runner
from torch import nn
from toy_data import toy_method
from versions import GLOO_BOOL

from mmseg_ctt.nn.batch_statistics import mean_statistics, running_statistics, statistics_of_ranks

pytestmark = GLOO_BOOL

ENDINGS = ('running_mean', 'running_var')


class States(Hook):
    """Statistics at the beginning of each validation and after each iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.validated, self.trained = {}, {}

    def before_val(self, runner):
        self.validated[runner.iter] = state_of(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained[runner.iter + 1] = state_of(runner)


def state_of(runner):
    return {name: value.clone() for name, value in runner.model.module.state_dict().items()}


def run(root, work, method, **changes):
    """Six iterations, validated after every second and saved after every third."""
    checkpoint = {'type': 'SafeCheckpointHook', 'interval': 3, **changes.pop('checkpoint', {})}
    hooks = dict(checkpoint=checkpoint, **changes.pop('hooks', {}))

    def body(rank):
        runner = rank_runner(
            root,
            work,
            model=toy_method(method),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=6, val_interval=2),
            default_hooks=hooks,
            **changes,
        )
        states = States()
        runner.register_hook(states)
        runner.train()
        return states.validated, states.trained, state_of(runner)

    return on_ranks(body)


def assert_equal(state, other):
    assert list(state) == list(other)
    for name, value in state.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize('method', ['CrossTeacherTraining', 'PrevMatch'])
def test_validated_saved_and_resumed_as_one_network(root, tmp_path, method):
    first, second = run(root, tmp_path / 'whole', method)
    assert list(first[0]) == [2, 4, 6] and list(first[1]) == [1, 2, 3, 4, 5, 6]
    for number in first[0]:
        assert_equal(first[0][number], second[0][number])
    for number in (3, 6):  # saved
        saved = torch.load(tmp_path / 'whole' / f'iter_{number}.pth', weights_only=False)
        for name, value in saved['state_dict'].items():
            own = torch.stack([states[1][number][name].double() for states in (first, second)])
            assert torch.equal(value.double(), own.mean(0).to(value).double()), name
    assert_equal(saved['state_dict'], first[0][6])  # validated and saved after the same iteration
    names = [name for name in first[1][2] if name.endswith(ENDINGS)]
    assert any(name.startswith(('teachers.', 'past.')) for name in names)
    for name in names:  # the mean of both, where they were their own
        mean = (first[1][2][name].double() + second[1][2][name].double()) / 2
        assert torch.equal(first[0][2][name], mean.float()), name
    assert any(not torch.equal(first[1][2][name], second[1][2][name]) for name in names)

    middle = dict(load_from=str(tmp_path / 'whole' / 'iter_3.pth'), resume=True)
    resumed = run(root, tmp_path / 'resumed', method, **middle)
    for one, other in zip(resumed, (first, second)):
        for number in (4, 5, 6):
            assert_equal(one[1][number], other[1][number])
        assert_equal(one[2], other[2])

    # as where it was preempted
    often = run(root, tmp_path / 'often', method, checkpoint=dict(interval=1))
    for one, other in zip(often, (first, second)):
        for number in other[1]:
            assert_equal(one[1][number], other[1][number])


def test_a_checkpoint_of_a_new_best_score_is_resumed_as_any(root, tmp_path):
    """It is written in the validation, in which every rank has the mean."""
    best = dict(checkpoint=dict(interval=2, save_best='mIoU'))
    whole = run(root, tmp_path / 'whole', 'CrossTeacherTraining', **best)
    (scored,) = (tmp_path / 'whole').glob('best_mIoU_iter_*.pth')
    number = int(scored.stem.rpartition('_')[2])
    saved = torch.load(tmp_path / 'whole' / f'iter_{number}.pth', weights_only=False)
    assert saved['message_hub']['runtime_info']['best_ckpt'] == str(scored)  # of the validation
    for name, rows in saved['rank_statistics'].items():
        assert torch.equal(rows, torch.stack([states[1][number][name] for states in whole])), name
    assert any(not torch.equal(*rows) for rows in saved['rank_statistics'].values())
    assert 'rank_statistics' not in torch.load(scored, weights_only=False)

    middle = dict(load_from=str(tmp_path / 'whole' / 'iter_2.pth'), resume=True)
    resumed = run(root, tmp_path / 'resumed', 'CrossTeacherTraining', **best, **middle)
    for one, other in zip(resumed, whole):
        for number in (3, 4, 5, 6):
            assert_equal(one[1][number], other[1][number])


@pytest.mark.parametrize('store', [dict(store='best'), dict(interval=2)])
def test_past_models_are_the_stored_student_on_every_rank(root, tmp_path, store):
    hooks = dict(past_models=dict(type='PastModelsHook', **store))
    whole = run(root, tmp_path / 'whole', 'PrevMatch', hooks=hooks)
    validated = whole[0][0][2]
    for _, trained, _ in whole:
        for name, value in validated.items():
            if name.startswith('students.0.'):
                past = trained[3][name.replace('students.0.', 'past.0.')]
                assert torch.equal(past, value), name

    middle = dict(load_from=str(tmp_path / 'whole' / 'iter_3.pth'), resume=True)
    resumed = run(root, tmp_path / 'resumed', 'PrevMatch', hooks=hooks, **middle)
    for one, other in zip(resumed, whole):
        for number in (4, 5, 6):
            assert_equal(one[1][number], other[1][number])


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        instance = nn.InstanceNorm1d(2, track_running_stats=True)
        self.own = nn.ModuleList([nn.BatchNorm2d(3), instance])
        self.shared, self.plain = nn.SyncBatchNorm(3), nn.BatchNorm1d(3, track_running_stats=False)


@pytest.mark.parametrize('world', [1, 3])
def test_mean_of_the_layers_that_take_them_from_a_rank(world):
    """Equal values stay as they are, also where a number of ranks is no power of 2."""

    def body(rank):
        layers = Layers()
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(rank))
        layers.own[0].running_mean.copy_(drawn)
        layers.shared.running_mean.fill_(rank)
        made = [{name: value.clone() for name, value in layers.state_dict().items()}]
        with Counted() as counted:
            for _ in range(2):
                with mean_statistics(layers):
                    made.append({k: value.clone() for k, value in layers.state_dict().items()})
        assert_equal(made[0], layers.state_dict())
        return made, sum(counted.calls.values())

    found = on_ranks(body, world)
    for rank, ((before, once, twice), calls) in enumerate(found):
        assert calls == (2 if world > 1 else 0)
        assert_equal(once, twice)
        assert torch.equal(once['shared.running_mean'], torch.full((3,), float(rank)))
        if world == 1:
            assert_equal(before, once)
            continue
        for name in set(once) - {'shared.running_mean'}:
            mean = torch.stack([states[0][name].double() for (states, _) in found]).mean(0)
            torch.testing.assert_close(once[name].double(), mean, rtol=1e-7, atol=1e-7, msg=name)


def test_layers_without_statistics_cost_nothing():
    assert len(running_statistics(Layers())) == 4
    body = nn.Sequential(nn.Conv2d(1, 1, 1), nn.GroupNorm(1, 1))

    def count(rank):
        with Counted() as counted:
            with mean_statistics(body):
                assert statistics_of_ranks(body) == {}
        return sum(counted.calls.values())

    assert on_ranks(count) == [0, 0]
