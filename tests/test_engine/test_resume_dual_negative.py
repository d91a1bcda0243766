# Copyright (c) mmseg_ctt contributors.
"""A stopped run of dual negative labels goes on bit for bit, schedules too."""

import pytest
import torch
from mmengine.runner import Runner
from test_engine.test_resume_anywhere import Notes, later
from toy import toy_segmentor
from toy_data import toy_config, write_toy_data

from mmseg_ctt.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook  # noqa: F401

ITERATIONS = 4


def run(root, work, resume=None, **settings):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        custom_hooks=[dict(type='TeacherEMAHook', alpha=0.9)],
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=100),
        model=dict(
            type='DualNegativeLabel',
            segmentor=toy_segmentor(dropout=0.1),
            confident=0.27,
            **settings,
        ),
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    cfg.optim_wrapper.optimizer.lr = 0.5  # soon sure of something
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    return notes.losses


@pytest.mark.parametrize(
    'settings',
    [
        dict(schedule='turns', ramp=0.6, selection='replacement', two_views=True),
        dict(teaching='mutual', selection='rank', ramp=0.6),
    ],
)
def test_resumed_run_is_the_uninterrupted_run(tmp_path, settings):
    root = write_toy_data(tmp_path / 'data')
    whole = run(root, tmp_path / 'whole', **settings)
    state = torch.load(tmp_path / 'whole' / f'iter_{ITERATIONS}.pth')['state_dict']
    assert any(0 < losses['student0.confident'] < 1 for losses in whole.values())
    if 'schedule' in settings:
        turn = [losses['student0.loss_neg'] > 0 for _, losses in sorted(whole.items())]
        assert turn == [True, False] * 2
    work = tmp_path / 'second'
    resumed = run(root, work, str(tmp_path / 'whole' / 'iter_1.pth'), **settings)
    assert resumed == later(whole, 1)
    made = torch.load(work / f'iter_{ITERATIONS}.pth')['state_dict']
    assert all(torch.equal(value, made[name]) for name, value in state.items())
