# Copyright (c) mmseg_ctt contributors.
"""PrevMatch: the ring of past models, what a step draws and learns of them, and its hook."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner
from no_sync import record
from record_losses import run_losses
from toy import losses_of, prepared, ready_model, toy_batch, toy_model, toy_settings
from toy_data import toy_config, toy_method, write_toy_data

from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.methods import PastModelsHook
from mmseg_ctt.methods.prevmatch import segmentor
from mmseg_ctt.methods.prevmatch.ring import Drawn, Ring
from mmseg_ctt.nn.images import Images

WEIGHT = 'decode_head.conv_seg.weight'
HALVES = [dict(type='CutMixing', partner='second_half')]


def weights_of(model, name):
    return model.member(name).state_dict()[WEIGHT].clone()


# ---- the ring


def test_the_newest_model_replaces_the_oldest():
    model = toy_model('PrevMatch', **toy_settings('PrevMatch', num_past=3))
    assert not model.ring.stored and len(model.past) == 3
    stored = []
    for i in range(5):
        model.students[0].decode_head.conv_seg.weight.data.fill_(i)
        model.store_past()
        stored.append(weights_of(model, 'student0'))
        model.students[0].decode_head.conv_seg.weight.data.fill_(-1)  # past models stay
        for number in range(max(0, i - 2), i + 1):
            assert torch.equal(weights_of(model, f'past{number % 3}'), stored[number])
    assert model.ring.stored == int(model.ring.count) == 5
    other = toy_model('PrevMatch', **toy_settings('PrevMatch', num_past=3))
    other.load_state_dict(model.state_dict())
    assert other.ring.stored == 5 and other.ring.next_position() == 2


def test_past_models_neither_train_nor_predict():
    model = ready_model('PrevMatch').train()
    assert not any(module.training for past in model.past for module in past.modules())
    assert not any(weight.requires_grad for weight in model.past.parameters())
    assert model.member_names == ('student0', 'ensemble')


def test_what_a_step_draws():
    ring = Ring(4)
    assert ring.draw(3, 0, (1, 3)).positions == []
    for _ in range(6):
        ring.advance()
    drawn = [ring.draw(3, iteration, (1, 3)) for iteration in range(300)]
    assert {len(found.positions) for found in drawn} == {1, 2, 3}
    assert {position for found in drawn for position in found.positions} == {0, 1, 2, 3}
    for found in drawn:
        assert len(set(found.positions)) == len(found.positions) == len(found.weights)
        assert sum(found.weights) == pytest.approx(1) and min(found.weights) >= 0
    assert [ring.draw(3, i, (1, 3)) for i in range(5)] == drawn[:5]
    assert [ring.draw(4, i, (1, 3)) for i in range(5)] != drawn[:5]
    assert all(len(ring.draw(3, i, (3, 3)).positions) == 3 for i in range(9))
    few = Ring(4)
    few.advance()
    assert few.draw(3, 0, (3, 3)) == ([0], [1.0])


# ---- the step


def test_without_past_models_it_is_unimatch():
    model = toy_model('PrevMatch', **toy_settings('PrevMatch'))
    plain = toy_model('UniMatch', **toy_settings('UniMatch'))
    model.students.load_state_dict(plain.students.state_dict())
    losses, want = losses_of(model, toy_batch()), losses_of(plain, toy_batch())
    past = {key for key in losses if 'past' in key}
    assert set(losses) == set(want) | past
    assert all(losses[key] == value for key, value in want.items())
    assert len(past) == 3 and all(losses[key] == 0 for key in past)


@pytest.mark.parametrize('halves', [False, True])
def test_terms_of_past_models_by_hand(halves, monkeypatch):
    """The logits of two past models are averaged; every pixel counts; their weight is 1/2."""
    settings = dict(past_consistency=dict(confidence_threshold=0.0), feature_perturbation=[])
    if halves:
        settings['strong_augmentation'] = HALVES
    monkeypatch.setattr(Ring, 'draw', lambda self, *args: Drawn([1, 0], [0.25, 0.75]))
    monkeypatch.setattr(segmentor, 'iterations', lambda: (10, 40))
    model, twin = (ready_model('PrevMatch', **settings) for _ in range(2))
    batch = toy_batch(2, 4)
    losses = losses_of(model, batch)

    twin.ring.stored = 0
    scale = 2 / 2.5
    for key, value in losses_of(twin, batch).items():
        if 'past' not in key:
            factor = scale if 'loss' in key else 1
            torch.testing.assert_close(losses[key], factor * value, msg=key)

    data = prepared(twin, batch)
    unlabeled = Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])
    number = 2 if halves else 4
    with torch.no_grad():
        logits = [twin.past[i](unlabeled.image, None, mode='tensor') for i in (1, 0)]
    mean = twin.upsampled(0.25 * logits[0] + 0.75 * logits[1], (32, 32))
    label = mean.argmax(1)
    views = [twin.strong_view(unlabeled, label, i) for i in range(2)]
    labeled = Images(data['inputs']['labeled'], data['data_samples']['labeled'])
    both = torch.cat([view.image for view in views])
    _, output = twin.forward_member('student0', labeled.image, both)
    targets = [view.apply_mix(label) for view in views]
    strong = F.cross_entropy(twin.upsampled(output.logits, (32, 32)), torch.cat(targets))
    torch.testing.assert_close(losses['student0.loss_past_unsup'], 0.5 * 0.25 * scale * strong)
    *_, perturbed = twin.forward_weak(labeled, unlabeled)
    fp = F.cross_entropy(twin.upsampled(perturbed.logits, (32, 32)), label[:number])
    torch.testing.assert_close(losses['student0.loss_past_fp'], 0.5 * 0.25 * scale * fp)
    assert losses['student0.confident_ratio_past'] == 1


def test_the_weight_of_past_models_over_a_run(monkeypatch):
    model = ready_model('PrevMatch')
    assert model.past_weight() == 1  # outside of a run
    weights = []
    for done in (0, 5, 10, 15, 20):
        monkeypatch.setattr(segmentor, 'iterations', lambda done=done: (done, 20))
        weights.append(model.past_weight())
    assert weights == [0, 0.5, 1, 0.5, 0]
    monkeypatch.setattr(segmentor, 'iterations', lambda: (5, 20))
    assert model.loss_weight('student0', 'past_fp') == pytest.approx(0.25 * 0.5 * 2 / 2.5)
    assert model.loss_weight('student0', 'fp') == pytest.approx(0.25 * 2 / 2.5)
    model.ring.stored = 0
    assert model.past_weight() == 0


def test_a_step_never_waits_for_the_device():
    model = ready_model('PrevMatch')
    data = prepared(model, toy_batch())
    assert record(lambda: model(**data, mode='loss')) == []
    assert record(model.store_past) == []


@pytest.mark.parametrize(
    ('settings', 'error', 'sentence'),
    [
        (dict(num_past=0), ValueError, 'model.num_past must be'),
        (dict(num_drawn=3), TypeError, 'model.num_drawn must be two whole numbers'),
        (dict(num_drawn=(1.0, 3)), TypeError, 'model.num_drawn must be two whole numbers'),
        (dict(num_drawn=(3, 1)), ValueError, 'give the fewest first'),
        (dict(num_drawn=(0, 1)), ValueError, 'at least 1'),
        (dict(past_consistency=dict(threshold=1)), ValueError, 'model.past_consistency has'),
    ],
)
def test_bad_settings(settings, error, sentence):
    with pytest.raises(error, match=sentence):
        toy_model('PrevMatch', **settings)


# ---- the hook


def runner_of(model, max_iters=20, val_interval=5, val_loop=True):
    return SimpleNamespace(
        model=model,
        iter=0,
        max_iters=max_iters,
        val_loop=val_loop or None,
        train_loop=SimpleNamespace(val_interval=val_interval),
    )


def stored_at(hook, runner):
    """Iterations after which a model was stored."""
    hook.before_train(runner)
    found = []
    while runner.iter < runner.max_iters:
        before = runner.model.ring.stored
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
        found += [runner.iter] * (runner.model.ring.stored - before)
    return found


@pytest.mark.parametrize(
    ('settings', 'iterations'),
    [
        (dict(), [*range(1, 21)]),  # a twentieth of 20
        (dict(interval=6), [6, 12, 18]),
        (dict(interval=0.25), [5, 10, 15, 20]),
        (dict(interval=0.25, start=0.5), [10, 15, 20]),
        (dict(interval=6, start=7), [12, 18]),
    ],
)
def test_models_are_stored_at_an_interval(settings, iterations):
    model = ready_model('PrevMatch')
    assert stored_at(PastModelsHook(**settings), runner_of(model)) == iterations


def test_models_are_stored_after_a_new_best_score():
    model = toy_model('PrevMatch', **toy_settings('PrevMatch'))
    hook, runner = PastModelsHook(store='best', metric='student0/mIoU', start=4), runner_of(model)
    hook.after_val_epoch(runner, {})  # a validation outside of a run
    assert stored_at(hook, runner) == []
    found = []
    for done, score in ((2, 30.0), (4, 20.0), (6, 30.0), (8, 31.0), (10, float('nan')), (12, 40.0)):
        runner.iter = done
        hook.after_val_epoch(runner, {'student0/mIoU': score, 'mIoU': 99.0})
        found.append(model.ring.stored)
    assert found == [0, 0, 0, 1, 1, 2]  # that of 30 came before the start
    assert model.ring.best == 40
    with pytest.raises(ValueError, match='past_models.metric=.* is no score of the validation'):
        hook.after_val_epoch(runner, {'mIoU': 1.0})


@pytest.mark.parametrize(
    ('settings', 'error', 'sentence'),
    [
        (dict(store='each'), ValueError, 'past_models.store must be one of'),
        (dict(store='best', interval=3), ValueError, "past_models.interval is read with store='i"),
        (dict(metric='mIoU'), ValueError, "past_models.metric is read with store='best'"),
        (dict(interval=0), ValueError, 'past_models.interval must be positive'),
        (dict(interval=-1), ValueError, 'past_models.interval must be'),
        (dict(interval='often'), TypeError, 'past_models.interval must be a number'),
        (dict(start=1.5), ValueError, 'past_models.start must be'),
    ],
)
def test_bad_settings_of_the_hook(settings, error, sentence):
    with pytest.raises(error, match=sentence):
        PastModelsHook(**settings)


def test_runs_that_the_hook_refuses():
    with pytest.raises(ValueError, match='needs model.type="PrevMatch", got UniMatch'):
        PastModelsHook().before_train(runner_of(ready_model('UniMatch')))
    for never in (dict(val_loop=False), dict(val_interval=20)):
        runner = runner_of(ready_model('PrevMatch'), **never)
        PastModelsHook().before_train(runner)
        with pytest.raises(ValueError, match='needs validations during the run'):
            PastModelsHook(store='best').before_train(runner)


def test_a_first_model_after_the_end_is_an_error():
    model = ready_model('PrevMatch')
    assert late_stage(model, [PastModelsHook(interval=4)], dict(max_iters=5)) is None
    for settings in (dict(interval=5), dict(interval=2, start=5)):
        line = late_stage(model, [PastModelsHook(**settings)], dict(max_iters=5))
        assert 'no past model is ever stored; lower them' in line


def test_a_stopped_run_has_the_models_of_the_best_scores(tmp_path):
    """Also where it was stopped between a checkpoint and the validation of the same iteration."""
    root = write_toy_data(tmp_path / 'data')
    hooks = dict(
        past_models=dict(type='PastModelsHook', store='best'),
        checkpoint=dict(type='SafeCheckpointHook', interval=2),
    )

    def trained(work, resume=None):
        cfg = toy_config(
            root,
            work,
            hooks,
            model=toy_method('PrevMatch'),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=8, val_interval=2),
            resume=resume is not None,
            load_from=resume,
        )
        return run_losses(Runner.from_cfg(cfg)), torch.load(work / 'iter_8.pth')['state_dict']

    losses, state = trained(tmp_path / 'whole')
    assert state['ring.count'] > 0 and state['ring.best'] > 0
    for stop in (2, 6):
        again, other = trained(tmp_path / f'{stop}', str(tmp_path / f'whole/iter_{stop}.pth'))
        assert again == {number: losses[number] for number in losses if number > stop}
        assert all(torch.equal(value, other[name]) for name, value in state.items())
