# Copyright (c) mmseg_ctt contributors.
"""A run of U2PL that is stopped goes on as if it had not been, bit for bit."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import toy_config, write_toy_data

ITERATIONS, QUEUE = 6, 12


class Losses(Hook):
    """The losses of each iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen[runner.iter + 1] = {key: float(value) for key, value in outputs.items()}


def run(root: Path, work: Path, resume: str = None) -> dict:
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        model=dict(
            type='U2PL',
            segmentor=toy_segmentor(dropout=0.1),
            teacher_mode='train',
            warmup=0.1,
            bank=dict(size=QUEUE, budget=5),
            contrast=dict(dim=8, num_anchors=4, num_negatives=3, anchor_threshold=0.1),
        ),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=100),
        custom_hooks=[dict(type='TeacherEMAHook', alpha=0.9, buffers=False)],
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    runner, losses = Runner.from_cfg(cfg), Losses()
    runner.register_hook(losses)
    runner.train()
    return losses.seen


def state_of(work: Path, iteration: int) -> dict:
    return torch.load(work / f'iter_{iteration}.pth')['state_dict']


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    root = write_toy_data(tmp_path_factory.mktemp('data'))
    work = tmp_path_factory.mktemp('whole')
    return root, work, run(root, work)


def test_what_is_resumed(whole):
    """Warm-up, queues that fill and queues that are full, a teacher behind its student."""
    _, work, losses = whole
    fill = [int(state_of(work, i)['unreliable.bank.count'].sum()) for i in (1, 2, 3, ITERATIONS)]
    assert fill[0] == 0 < fill[1] < fill[2] < fill[3] == 4 * QUEUE
    assert [losses[i]['student0.loss_contrast'] > 0 for i in range(1, ITERATIONS + 1)] == [
        False,
        *[True] * (ITERATIONS - 1),
    ]
    used = [losses[i]['student0.used'] for i in range(2, ITERATIONS + 1)]
    assert used == sorted(used) and used[0] < used[-1]  # the threshold moves with the run
    state = state_of(work, ITERATIONS)
    own, taught = (
        state[f'unreliable.{name}.outer.weight'] for name in ('projection', 'teacher_projection')
    )
    assert not torch.equal(own, taught)


@pytest.mark.parametrize('stop', [1, 2, 5])
def test_stopped_and_resumed(whole, tmp_path, stop):
    root, work, losses = whole
    resumed = run(root, tmp_path, str(work / f'iter_{stop}.pth'))
    assert resumed == {i: one for i, one in losses.items() if i > stop}
    expected, made = state_of(work, ITERATIONS), state_of(tmp_path, ITERATIONS)
    assert expected.keys() == made.keys()
    for name, value in expected.items():
        assert torch.equal(value, made[name]), name
