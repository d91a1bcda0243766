# Copyright (c) mmseg_ctt contributors.
import logging
import uuid
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmseg.registry import MODELS
from toy import losses_of, toy_batch, toy_model, toy_segmentor, toy_settings

from mmseg_ctt.engine import QueueWarmupHook
from mmseg_ctt.engine.guards import late_stage

CLASSES = ('road', 'sky', 'tree', 'car')


def build(**settings):
    return toy_model(bank=dict(size=4), **settings)


def runner_of(model, max_iters=100):
    dataset = SimpleNamespace(metainfo=dict(classes=CLASSES))
    return SimpleNamespace(
        model=model,
        iter=0,
        max_iters=max_iters,
        message_hub=MessageHub.get_instance(uuid.uuid4().hex),
        logger=logging.getLogger('queues'),
        train_dataloader=SimpleNamespace(dataset=dataset),
    )


def fill(model, *counts):
    model.contrast.bank.count.copy_(torch.tensor(counts))


def run(hook, runner, iterations):
    for _ in range(iterations):
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1


def start(model, max_iters=100, **settings):
    hook, runner = QueueWarmupHook(**settings), runner_of(model, max_iters)
    hook.before_train(runner)
    return hook, runner


def state(model):
    assert model.contrast.active == bool(model.contrast.on)
    return model.contrast.active


def test_starts_when_every_queue_is_full():
    model = build()
    hook, runner = start(model, interval=1)
    assert not state(model)
    for counts in ((0, 0, 0, 0), (4, 4, 4, 3)):
        fill(model, *counts)
        run(hook, runner, 2)
        assert not state(model)
    fill(model, 4, 4, 4, 4)
    model.contrast.bank.count[1, 2] = 3  # one queue of one pair
    run(hook, runner, 1)
    assert not state(model)
    fill(model, 4, 4, 4, 4)
    run(hook, runner, 1)
    assert state(model)


def test_reads_the_queues_at_the_interval_only():
    model = build()
    hook, runner = start(model, interval=3)
    fill(model, 4, 4, 4, 4)
    run(hook, runner, 2)
    assert not state(model)
    run(hook, runner, 1)
    assert state(model)


def test_never_off_again():
    model = build()
    hook, runner = start(model, interval=1)
    fill(model, 4, 4, 4, 4)
    run(hook, runner, 1)
    fill(model, 0, 0, 0, 0)
    run(hook, runner, 3)
    assert state(model)
    other = build()
    other.load_state_dict(model.state_dict())
    hook, runner = start(other, interval=1)
    run(hook, runner, 3)
    assert state(other)


def test_latest_start(caplog):
    model = build()
    hook, runner = start(model, interval=4, start_iter=6)
    fill(model, 4, 1, 4, 0)
    run(hook, runner, 5)  # reads at iteration 4
    assert not state(model)
    with caplog.at_level(logging.INFO):
        run(hook, runner, 1)
    assert state(model)
    (message,) = [record.message for record in caplog.records]
    assert 'after iteration 6' in message and 'sky 25%, car 0%' in message
    assert 'road' not in message and 'tree' not in message


def test_reason_when_full(caplog):
    model = build()
    hook, runner = start(model, interval=1)
    fill(model, 4, 4, 4, 4)
    with caplog.at_level(logging.INFO):
        run(hook, runner, 3)
    (message,) = [record.message for record in caplog.records]
    assert message == 'contrast starts after iteration 1: all queues are full'


def test_resume_restores_the_state():
    model = build()
    model.contrast.switch(True)
    resumed = build(seed=1)
    resumed.load_state_dict(model.state_dict())
    assert not resumed.contrast.active  # the copy on the host
    start(resumed)
    assert state(resumed)


def test_filled_ratio_is_logged():
    model = build()
    hook, runner = start(model, interval=1)
    fill(model, 4, 2, 2, 0)
    run(hook, runner, 1)
    scalar = runner.message_hub.get_scalar
    assert scalar('train/queue_fill').current() == pytest.approx(0.5)
    assert scalar('train/queue_fill_min').current() == 0
    fill(model, 4, 4, 4, 2)
    run(hook, runner, 1)
    assert scalar('train/queue_fill').current() == pytest.approx(0.875)
    assert scalar('train/queue_fill_min').current() == 0.5


def test_full_queues_are_not_read_again(monkeypatch):
    model = build()
    hook, runner = start(model, interval=1)
    fill(model, 4, 4, 4, 4)
    run(hook, runner, 1)
    monkeypatch.setattr(type(model.contrast), 'fill_ratio', lambda self: pytest.fail('read again'))
    run(hook, runner, 3)


def test_the_switch_switches_the_terms():
    model = build()
    hook, runner = start(model, interval=1)
    fill(model, 4, 4, 4, 4)
    model.contrast.bank.features.normal_()
    before = losses_of(model, toy_batch())
    fill(model, 4, 4, 4, 4)
    run(hook, runner, 1)
    after = losses_of(model, toy_batch())
    assert before.keys() == after.keys()
    assert before['student0.loss_hc'].item() == 0 and after['student0.loss_hc'].item() > 0


@pytest.mark.parametrize(
    'model',
    [
        lambda: toy_model(loss_weights=dict(hc=0, lc=0)),
        lambda: toy_model('U2PL', **toy_settings('U2PL')),  # its contrast does not wait
        lambda: MODELS.build(toy_segmentor()),
    ],
)
def test_nothing_to_do_without_banks(model):
    hook, runner = start(model(), interval=1, start_iter=1)
    run(hook, runner, 3)
    assert not runner.message_hub.log_scalars


def warned(caplog):
    return [r.message for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize(
    'settings, late',
    [
        (dict(start_iter=5), False),
        (dict(start_iter=6), True),  # it would start after the last iteration
        (dict(start_iter=500, when_full=False), True),
        (dict(start_iter=0.95), True),  # after 6 of 6 iterations
        (dict(start_iter=0.5), False),
        (dict(start_iter=0), False),
        ({}, False),
    ],
)
def test_a_run_that_ends_before_the_latest_start(settings, late):
    line = late_stage(build(), [QueueWarmupHook(**settings)], dict(max_iters=6))
    assert bool(line) == late
    if late:
        assert line.startswith(f'default_hooks.queue_warmup.start_iter={settings["start_iter"]}')
        assert 'the run has 6 iterations: the contrast never starts; lower it' in line
        assert ('or None to wait' in line) == settings.get('when_full', True)


@pytest.mark.parametrize(
    'model',
    [lambda: toy_model(loss_weights=dict(hc=0, lc=0)), lambda: MODELS.build(toy_segmentor())],
)
def test_a_model_without_contrast_has_no_late_start(model):
    assert late_stage(model(), [QueueWarmupHook(start_iter=500)], dict(max_iters=6)) is None
    assert late_stage(build(), [QueueWarmupHook(start_iter=500)], dict(max_epochs=6)) is None


@pytest.mark.parametrize(
    'ratio, max_iters, start_at', [(1 / 3, 1500, 500), (0.5, 10, 5), (0.3, 1, 1)]
)
def test_a_ratio_of_the_run(ratio, max_iters, start_at, caplog):
    with caplog.at_level(logging.INFO):
        hook, runner = start(build(), max_iters, interval=10**9, start_iter=ratio)
    assert f'contrast: starts after iteration {start_at} of {max_iters}' in caplog.text
    run(hook, runner, start_at - 1)
    assert not state(runner.model)
    run(hook, runner, 1)
    assert state(runner.model)


def test_no_line_of_a_later_start_where_the_contrast_is_on_already(caplog):
    model = build()
    model.contrast.switch(True)
    with caplog.at_level(logging.INFO):
        hook, runner = start(model, max_iters=6, start_iter=500)
    assert 'starts' not in caplog.text and 'contrast: on' in caplog.text
    run(hook, runner, 6)
    hook.after_train(runner)
    assert not warned(caplog)


@pytest.mark.parametrize('start_iter', [-1, 1.0, 2.5, -0.5])
def test_a_start_out_of_range(start_iter):
    with pytest.raises(ValueError, match=r'start_iter must be an iteration.* ratio of the run'):
        QueueWarmupHook(start_iter=start_iter)
    with pytest.raises(TypeError, match='start_iter must be a number'):
        QueueWarmupHook(start_iter='half')


@pytest.mark.parametrize('start_iter, off', [(None, True), (3, False)])
def test_a_run_without_contrast(caplog, start_iter, off):
    hook, runner = start(build(), max_iters=6, interval=1, start_iter=start_iter)
    run(hook, runner, 6)
    hook.after_train(runner)
    lines = warned(caplog)
    assert len(lines) == off
    if off:
        assert 'off in all 6 iterations' in lines[0]
        assert 'default_hooks.queue_warmup.start_iter' in lines[0]


def test_a_run_that_was_stopped_early_has_no_warning(caplog):
    hook, runner = start(build(), max_iters=6, interval=1)
    run(hook, runner, 3)
    hook.after_train(runner)
    assert not warned(caplog)


def test_nothing_to_do_after_a_run_without_banks(caplog):
    hook, runner = start(toy_model(loss_weights=dict(hc=0, lc=0)), max_iters=3, start_iter=500)
    run(hook, runner, 3)
    hook.after_train(runner)
    assert not warned(caplog)


def test_bad_interval():
    with pytest.raises(ValueError, match='default_hooks.queue_warmup.interval'):
        QueueWarmupHook(interval=0)


def test_nothing_would_start_the_contrast():
    with pytest.raises(ValueError, match='when_full=False needs default_hooks.queue_warmup.start'):
        QueueWarmupHook(when_full=False)
