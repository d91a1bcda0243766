# Copyright (c) mmseg_ctt contributors.
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import toy_config
from versions import GLOO_BOOL

from mmseg_ctt.engine import PreemptionHook
from mmseg_ctt.engine.hooks import preemption_hook

TESTS = Path(__file__).resolve().parents[1]


class Sender(Hook):
    """Sends a signal to this process in the middle of an iteration, or of a validation."""

    def __init__(self, name=None, iteration=None, image=None):
        self.name, self.iteration, self.image = name, iteration, image
        self.losses, self.metrics = {}, {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration and self.image is None:
            os.kill(os.getpid(), signal.Signals[self.name])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter + 1] = float(outputs['loss'])

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration and batch_idx == self.image:
            os.kill(os.getpid(), signal.Signals[self.name])

    def after_val_epoch(self, runner, metrics=None):
        self.metrics[runner.iter] = metrics


SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


def handlers() -> list:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def usual_signals():
    before = handlers()
    yield
    for number, handler in zip(SIGNALS, before):
        signal.signal(number, handler)


def build(root, work, accumulate=1, resume=False, val_interval=100, interval=100, **hook):
    cfg = toy_config(
        root,
        work,
        resume=resume,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=6, val_interval=val_interval),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=interval, max_keep_ckpts=2),
            preemption=dict(type='PreemptionHook', **hook),
        ),
    )
    cfg.optim_wrapper.accumulative_counts = accumulate
    return Runner.from_cfg(cfg)


def train(runner, code=None, **sender) -> Sender:
    sender = Sender(**sender)
    runner.register_hook(sender)
    if code is None:
        runner.train()
    else:
        with pytest.raises(SystemExit) as left:
            runner.train()
        assert left.value.code == code
    return sender


def pointed_at(work: Path) -> str:
    return Path((work / 'last_checkpoint').read_text()).name


CODES = [('SIGTERM', 75), ('SIGUSR1', 75), ('SIGINT', 130)]


@pytest.mark.parametrize('name, code', CODES)
def test_saves_at_the_next_iteration_and_goes_on(root, tmp_path, name, code):
    whole = build(root, tmp_path / 'whole')
    expected = train(whole)
    first = train(build(root, tmp_path / 'work'), code, name=name, iteration=3)
    assert sorted(first.losses) == [1, 2, 3]
    assert pointed_at(tmp_path / 'work') == 'iter_3.pth'
    resumed = build(root, tmp_path / 'work', resume=True)
    second = train(resumed)
    assert {**first.losses, **second.losses} == expected.losses
    assert sorted(second.losses) == [4, 5, 6]
    states = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_waits_for_the_step_of_the_optimiser(root, tmp_path):
    expected = train(build(root, tmp_path / 'whole', accumulate=2))
    first = train(build(root, tmp_path / 'work', accumulate=2), 75, name='SIGTERM', iteration=3)
    assert sorted(first.losses) == [1, 2, 3, 4]
    second = train(build(root, tmp_path / 'work', accumulate=2, resume=True))
    assert {**first.losses, **second.losses} == expected.losses


def test_no_second_checkpoint_of_one_iteration(root, tmp_path, monkeypatch):
    saved, save = [], Runner.save_checkpoint
    monkeypatch.setattr(
        Runner,
        'save_checkpoint',
        lambda self, folder, name, *given, **more: (
            saved.append(name),
            save(self, folder, name, *given, **more),
        ),
    )
    train(build(root, tmp_path, interval=3), 75, name='SIGTERM', iteration=3)
    assert saved == ['iter_3.pth']


@pytest.mark.parametrize('name, code', [('SIGTERM', 75), ('SIGINT', 130)])
def test_in_a_validation(root, tmp_path, name, code):
    expected = train(build(root, tmp_path / 'whole', val_interval=2))
    first = train(
        build(root, tmp_path / 'work', val_interval=2), code, name=name, iteration=4, image=1
    )
    assert pointed_at(tmp_path / 'work') == 'iter_4.pth' and sorted(first.metrics) == [2]
    second = train(build(root, tmp_path / 'work', val_interval=2, resume=True))
    assert {**first.losses, **second.losses} == expected.losses
    assert {**first.metrics, **second.metrics} == expected.metrics  # 4 was made up for
    assert sorted(second.metrics) == [4, 6]


def test_another_exit_code_and_signal(root, tmp_path):
    train(build(root, tmp_path, signals=['SIGUSR2'], exit_code=3), 3, name='SIGUSR2', iteration=2)
    assert pointed_at(tmp_path) == 'iter_2.pth'


def test_signals_that_never_come(root, tmp_path):
    before = handlers()
    assert sorted(train(build(root, tmp_path)).losses) == [1, 2, 3, 4, 5, 6]
    assert handlers() == before


def test_a_second_signal_does_not_cut_the_end_short(root, tmp_path):
    """Slurm sends SIGTERM to the other ranks once the first is gone."""
    train(build(root, tmp_path), 75, name='SIGUSR1', iteration=2)
    os.kill(os.getpid(), signal.SIGTERM)
    assert handlers()[:2] == [signal.SIG_IGN, signal.SIG_IGN]


CHILD = """
import sys, time
sys.path[:0] = [{repo!r}, {tests!r}]
import mmseg_ctt
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from mmseg_ctt.engine.hooks import preemption_hook, safe_checkpoint_hook
from toy_data import toy_config
from versions import GLOO_BOOL

class Slow(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        Path({work!r}, 'started').touch()
        time.sleep(pause)

pause = 0.1
{setup}
cfg = toy_config(Path({root!r}), Path({work!r}), train_cfg=dict(
    type='ResumableTrainLoop', max_iters=1000, val_interval=1000))
cfg.default_hooks.update(checkpoint=dict(type='SafeCheckpointHook', interval=1000),
                         preemption=dict(type='PreemptionHook'))
cfg.train_dataloader.update(num_workers=2, persistent_workers=True)
runner = Runner.from_cfg(cfg)
runner.register_hook(Slow())
runner.train()
"""


def started(root, tmp_path, setup=''):
    """A run of its own that is in an iteration."""
    code = CHILD.format(
        repo=str(TESTS.parent), tests=str(TESTS), root=str(root), work=str(tmp_path), setup=setup
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code],
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while not (tmp_path / 'started').exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    return process


@pytest.mark.parametrize('name, code', CODES)
def test_workers_of_a_signalled_group_live_on(root, tmp_path, name, code):
    """Slurm and Ctrl-C signal the whole group, and a worker that ends stops the iteration."""
    process = started(root, tmp_path)
    os.killpg(process.pid, signal.Signals[name])
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output[-2000:]
    reason = 'Ctrl-C' if name == 'SIGINT' else name
    assert f'{reason}: saved iter_' in output and 'Traceback' not in output
    assert 'the same command with --resume goes on from there' in output
    assert (tmp_path / pointed_at(tmp_path)).is_file()


def test_a_second_ctrl_c_ends_the_run_at_once(root, tmp_path):
    process = started(root, tmp_path, setup='pause = 1000')  # the iteration never ends
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # of torchrun: still the first
    time.sleep(preemption_hook.SAME + 0.2)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output[-2000:]
    assert output.count('once more ends the run at once') == 1
    assert 'saved iter_' not in output and 'Traceback' not in output
    assert not list(tmp_path.glob('*.pth*'))


@GLOO_BOOL
def test_ctrl_c_of_torchrun(root, tmp_path):
    """The terminal signals torchrun and both ranks, and torchrun signals the ranks again."""
    cfg = toy_config(
        root,
        tmp_path / 'work',
        train_cfg=dict(type='ResumableTrainLoop', max_iters=100_000, val_interval=100_000),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=100_000),
            preemption=dict(type='PreemptionHook'),
        ),
    )
    cfg.dump(tmp_path / 'toy.py')
    train_py = str(TESTS.parent / 'tools' / 'train.py')
    command = ['-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-port=29631', train_py]
    environment = {**os.environ, 'PYTHONPATH': str(TESTS), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(
        [sys.executable, *command, str(tmp_path / 'toy.py'), '--launcher', 'pytorch'],
        start_new_session=True,
        text=True,
        stdout=(tmp_path / 'output').open('w'),
        stderr=subprocess.STDOUT,
        env=environment,
    )
    while 'Iter(train)' not in (tmp_path / 'output').read_text() and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=120)
    output = (tmp_path / 'output').read_text()
    assert 'Ctrl-C: saved iter_' in output, output[-2000:]
    assert (tmp_path / 'work' / pointed_at(tmp_path / 'work')).is_file()


def test_without_a_checkpoint_hook(root, tmp_path, monkeypatch):
    """There is nothing to save with, so the signals keep their usual handlers."""
    before, during, lines = handlers(), [], []
    cfg = toy_config(
        root, tmp_path, default_hooks=dict(checkpoint=None, preemption=dict(type='PreemptionHook'))
    )
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(runner.logger, 'warning', lambda line, *_: lines.append(line))
    loss = runner.model.loss
    monkeypatch.setattr(
        runner.model, 'loss', lambda *given: during.append(handlers()) or loss(*given)
    )
    runner.train()
    assert during == [before] * 2 and handlers() == before
    assert [line for line in lines if 'default_hooks.checkpoint is switched off' in line]


@pytest.mark.parametrize('settings', [dict(signals=['SIGNOTHING']), dict(interval=0)])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match='PreemptionHook'):
        PreemptionHook(**settings)
