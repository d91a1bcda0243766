# Copyright (c) mmseg_ctt contributors.
"""Iterations with a matching of anchors, and exact resume of STPG around them."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner
from test_engine.test_resume_anywhere import Notes, later
from toy import toy_model
from toy_data import toy_config, toy_method, write_toy_data

from mmseg_ctt.methods.stpg.hook import AnchorAssignmentHook

ITERATIONS, CONTRAST, INTERVAL = 8, 4, 3


def matched(iterations, **settings):
    """Iterations after which the hook matched."""
    hook, found = AnchorAssignmentHook(**settings), []
    runner = SimpleNamespace(model=toy_model('STPG'), iter=0)
    hook.before_train(runner)
    runner.model.contrast.assign = lambda: found.append(runner.iter + 1)
    for runner.iter in iterations:
        hook.after_train_iter(runner, runner.iter)
    return found


def test_the_interval():
    assert matched(range(35)) == [10, 20, 30]
    assert matched(range(10), interval=4) == [4, 8]
    assert matched(range(5, 10), interval=4) == [8]  # of a resumed run
    assert matched(range(4), interval=1) == [1, 2, 3, 4]


def test_the_end():
    assert matched(range(20), interval=4, stop_iter=8) == [4, 8]
    assert matched(range(20), interval=4, stop_iter=0) == []


def test_models_without_anchors():
    off = toy_model('STPG', loss_weights=dict(contrast_labeled=0, contrast_unlabeled=0))
    hook, runner = AnchorAssignmentHook(interval=1), SimpleNamespace(model=off, iter=0)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    with pytest.raises(ValueError, match='needs model.type="STPG", got CrossTeacherTraining'):
        hook.before_train(SimpleNamespace(model=toy_model()))
    with pytest.raises(
        ValueError, match='default_hooks.anchor_assignment.interval must be positive'
    ):
        AnchorAssignmentHook(interval=0)


# ---- a run


def run(root, work, resume=None, **settings):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        default_hooks=dict(
            teacher_ema=dict(type='TeacherEMAHook', alpha=0.9),
            queue_warmup=dict(type='QueueWarmupHook', start_iter=CONTRAST, interval=1),
            anchor_assignment=dict(type='AnchorAssignmentHook', interval=INTERVAL),
            checkpoint=dict(type='SafeCheckpointHook', interval=1),
        ),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=100),
        model=toy_method('STPG', bank=dict(size=3), contrast=dict(threshold=0.0, **settings)),
    )
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    return notes.losses


def state(work, iteration=ITERATIONS):
    return torch.load(work / f'iter_{iteration}.pth')['state_dict']


@pytest.mark.parametrize('settings', [{}, dict(memory='peer', ranking='confidence')])
def test_resumed_run_is_the_uninterrupted_run(tmp_path, settings):
    root = write_toy_data(tmp_path / 'data')
    whole = run(root, tmp_path / 'whole', **settings)
    states = [state(tmp_path / 'whole', n) for n in range(1, ITERATIONS + 1)]
    # the stops lie before and after the first matching and the start of the contrast
    assignments = [saved['contrast.assignment'].tolist() for saved in states]
    assert assignments[1] == [0, 1, 2, 3] != assignments[-1]
    assert [bool(saved['contrast.on']) for saved in states] == [False] * 3 + [True] * 5
    assert not torch.equal(states[0]['contrast.centroids'], states[-1]['contrast.centroids'])
    assert states[-1]['contrast.bank.count'].sum() > 0
    assert whole[ITERATIONS]['student0.loss_contrast_labeled'] > 0
    for stop in (1, 2, 3, 5):
        work = tmp_path / f'from{stop}'
        resumed = run(root, work, str(tmp_path / 'whole' / f'iter_{stop}.pth'), **settings)
        assert resumed == later(whole, stop)
        made = state(work)
        assert states[-1].keys() == made.keys()
        assert all(torch.equal(value, made[name]) for name, value in states[-1].items())
