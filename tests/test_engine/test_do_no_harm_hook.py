# Copyright (c) mmseg_ctt contributors.
"""Runs that are compared with a supervised baseline, whose scores are written here."""

import copy
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from test_engine.test_resume_anywhere import Notes
from toy_data import toy_ctt
from toy_guarded import STRONG, WEAK, Factors, guarded_config, train, write_baseline

from mmseg_ctt.deploy.checkpoint import load_network
from mmseg_ctt.engine.baseline_run import find_baseline
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.engine.harm_rule import HarmRule
from mmseg_ctt.engine.hooks.do_no_harm_hook import DoNoHarmHook
from mmseg_ctt.nn.unlabeled_weight import GuardState


@pytest.fixture
def config(root, tmp_path):
    return partial(guarded_config, root, tmp_path)


@pytest.fixture
def baseline(root, tmp_path):
    return partial(write_baseline, root, tmp_path)


def test_rule():
    rule = HarmRule(margin=1.0, patience=1, backoff=0.25, lowest=0.1)
    assert rule.after((1.0, 1.0, 0), -1.1) == (0.0, 0.25, 0)
    assert rule.after((0.0, 0.25, 0), -0.1) == (0.0, 0.25, 0)
    assert rule.after((0.0, 0.25, 0), -9.0) == (0.0, 0.25, 0), 'off already'
    assert rule.after((0.0, 0.25, 0), 0.9) == (0.0, 0.25, 0), 'above by chance'
    assert rule.after((0.0, 0.25, 0), 1.0) == (0.25, 0.25, 0)
    assert rule.after((0.25, 0.25, 0), 9.0) == (1.0, 0.25, 0)
    assert rule.after((0.25, 0.25, 0), -0.9) == (0.25, 0.25, 0)
    assert rule.after((0.25, 0.25, 0), -2.0) == (0.0, 0.0, 0), 'lower than the lowest'
    assert rule.after((0.0, 0.0, 0), 9.0) == (0.0, 0.0, 0), 'for good'
    rule = rule._replace(backoff=0.0)
    assert rule.after((1.0, 1.0, 0), -2.0) == (0.0, 0.0, 0)
    assert rule.after((1.0, 1.0, 0), 2.0) == (1.0, 0.0, 0)
    assert rule.after((0.25, 0.25, 0), 2.0) == (0.25, 0.0, 0), 'of a run that had a backoff'
    assert rule.after((0.0, 0.25, 0), 9.0) == (0.0, 0.0, 0), 'of a run that had a backoff'


@pytest.mark.parametrize('backoff', [0.0, 0.5])
def test_rule_with_patience(backoff):
    """Low validations count in a row alone, and those without the terms do not count."""
    rule = HarmRule(margin=1.0, patience=2, backoff=backoff, lowest=0.1)
    state, found = GuardState(), []
    for difference in (-2.0, -0.5, -2.0, 0.5, -2.0, -2.0, -2.0, -2.0, 2.0, -2.0):
        state = rule.after(state, difference)
        found.append((state.factor, state.low))
    back = (backoff, 1) if backoff else (0, 0)
    assert found[:6] == [(1, 1), (1, 0), (1, 1), (1, 0), (1, 1), (0, 0)]
    assert found[6:] == [(0, 0), (0, 0), (backoff, 0), back]


def test_a_run_below_its_baseline_ends_as_it_trains(config, baseline):
    folder = baseline({1: STRONG, 3: STRONG})
    (folder / 'iter_4.pth').touch()
    (folder / 'last_checkpoint').write_text('gone/iter_4.pth')  # the folder was moved
    factors, notes = Factors(), Notes()
    runner, log = train(config(hook={}), factors, notes)
    assert factors.found == factors.logged == [1.0, 0.0, 0.0, 0.0]
    assert runner.model.unlabeled_weight.state.tolist() == [0, 0, 0]
    assert f'default_hooks.do_no_harm: baseline {folder}' in log
    assert 'baseline 99.00: weight of the unlabelled images 1 -> 0' in log
    assert 'below its supervised baseline' in log and f'use {folder / "iter_4.pth"}' in log
    of_others = [name for name in runner.message_hub.log_scalars if '.loss_unsup' in name]
    assert 'student0.loss_unsup' in notes.losses[1] and not of_others
    assert not [name for name in notes.losses[3] if '.loss_unsup' in name]


def test_a_run_above_its_baseline_is_that_without_the_guard(config, baseline):
    baseline({1: WEAK, 4: WEAK})
    found = []
    for name, hook in (('guarded', {}), ('plain', None)):
        notes = Notes()
        runner, log = train(config(name, hook=hook), notes)
        state = runner.model.state_dict()
        state.pop('unlabeled_weight.state', None)
        found.append((notes.losses, state))
        assert 'below its supervised baseline' not in log
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][key]) for key, value in found[0][1].items())


def test_the_terms_come_back(config, baseline):
    baseline({1: STRONG, 2: WEAK})
    for backoff, found in ((0.25, [1.0, 0.0, 0.25, 1.0]), (0, [1.0, 0.0, 0.0, 0.0])):
        train(config(f'run{backoff}', hook=dict(backoff=backoff)), factors := Factors())
        assert factors.found == found


def test_a_resumed_run_goes_on_with_the_factor(config, baseline):
    baseline({1: STRONG, 2: WEAK - 0.5, 3: STRONG})
    hook = dict(backoff=0.3)
    notes, factors = Notes(), Factors()
    runner, _ = train(config(hook=hook), notes, factors)
    again, found = Notes(), Factors()
    checkpoint = str(Path(runner.work_dir) / 'iter_2.pth')
    saved = torch.load(checkpoint, weights_only=False)['state_dict']
    assert saved['unlabeled_weight.state'].tolist() == pytest.approx([0, 0.3, 0])
    assert 0 < factors.found[2] < 1
    train(config('resumed', hook=hook, resume=True, load_from=checkpoint), again, found)
    assert found.found == factors.found[2:]
    assert again.losses == {step: notes.losses[step] for step in (3, 4)}
    # a new run from these weights begins with 1, and one without the guard has no factor
    new, started = train(config('new', hook=hook, load_from=checkpoint), fresh := Factors())
    assert fresh.found[0] == 1.0
    without, _ = train(config('without', resume=True, load_from=checkpoint))
    assert without.model.unlabeled_weight is None
    assert 'unlabeled_weight.state' not in without.model.state_dict()
    assert load_network(runner.cfg, checkpoint).unlabeled_weight is None


def test_a_resumed_run_may_get_the_hook(config, baseline):
    """A run that began without it has no factor; the hook begins with 1."""
    baseline({1: WEAK, 2: WEAK, 3: STRONG})
    runner, _ = train(config())
    checkpoint = str(Path(runner.work_dir) / 'iter_2.pth')
    guarded = config('guarded', hook={}, resume=True, load_from=checkpoint)
    train(guarded, factors := Factors())
    assert factors.found == [1.0, 0.0]


def test_a_row_of_low_validations_goes_on_in_a_resumed_run(config, baseline, tmp_path):
    baseline({1: STRONG})
    hook = dict(patience=2)
    _, log = train(config('first', hook=hook), factors := Factors())
    assert factors.found == [1.0, 1.0, 0.0, 0.0]
    assert 'baseline 99.00: low for 1 of 2 validations' in log
    checkpoint = str(tmp_path / 'first' / 'iter_1.pth')
    resumed = config('again', hook=hook, resume=True, load_from=checkpoint)
    train(resumed, found := Factors())
    assert found.found == factors.found[1:]


def test_resumed_after_all_terms_were_switched_off(config, baseline, tmp_path):
    """The step then aligns nothing, which the hook of the alignment takes."""
    folder, align = (
        dict(baseline=str(baseline({1: STRONG}))),
        [dict(type='DistributionAlignmentHook')],
    )
    first, _ = train(config('ctt', hook=folder, model=toy_ctt(), custom_hooks=align))
    notes, checkpoint = Notes(), str(tmp_path / 'ctt' / 'iter_3.pth')
    changes = dict(resume=True, load_from=checkpoint, custom_hooks=align)
    again, log = train(config('again', hook=folder, model=toy_ctt(), **changes), notes)
    assert 'resumed key' not in log, 'a warning for each term'
    assert set(notes.losses) == {4} and not [key for key in notes.losses[4] if '_ct' in key]
    state = again.model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in first.model.state_dict().items())


def test_resumed_without_the_baseline(config, baseline, tmp_path):
    """The weight stays what it was, and the log says so."""
    folder = baseline({1: STRONG})
    train(config('first', hook={}))
    shutil.rmtree(folder)
    checkpoint = str(tmp_path / 'first' / 'iter_2.pth')
    factors = Factors()
    _, log = train(config('again', hook={}, resume=True, load_from=checkpoint), factors)
    assert factors.found == [0.0, 0.0]
    assert 'is off: no supervised run' in log and 'keep the weight 0 of the checkpoint' in log


def test_without_a_baseline_the_guard_is_off(config):
    factors = Factors()
    _, log = train(config(hook={}), factors)
    assert log.count('default_hooks.do_no_harm is off: no supervised run') == 1
    assert factors.found == [1.0] * 4


def test_a_member_and_its_metric(config, baseline):
    """The best member is compared; the named one is judged at the end."""
    baseline({1: WEAK})
    _, log = train(config(hook=dict(metric='student0/mIoU')))
    assert 'compared by student0/mIoU' in log
    cfg = config('best', hook=dict(backoff=0.25))
    cfg.default_hooks.checkpoint.save_best = ['ensemble/mIoU', 'mIoU']
    baseline({1: 50.0}, start='20270101_000000')
    runner, hook = Runner.from_cfg(cfg), DoNoHarmHook(patience=1, backoff=0.25)
    hook.before_run(runner)
    runner.train_loop._iter = 1
    hook.before_train(runner)
    assert hook.score[:2] == ('ensemble/mIoU', 'mIoU')
    for ensemble, student, want in ((40.0, 50.0, 1.0), (40.0, 48.0, 0.0), (51.0, 0.0, 0.25)):
        hook.after_val_epoch(runner, {'ensemble/mIoU': ensemble, 'student0/mIoU': student})
        assert runner.model.unlabeled_weight.factor == want
    with pytest.raises(ValueError, match='metric="ensemble/mIoU" is no score of the validation'):
        hook.after_val_epoch(runner, dict(mIoU=3.0))
    hook.after_train(runner)  # before the end
    runner.train_loop._iter = 4
    said, words = [], {'val/ensemble/mIoU': 40.0, 'val/student0/mIoU': 49.5}
    runner.message_hub.update_scalars(words)
    runner.logger.warning = said.append
    hook.after_train(runner)
    runner.message_hub.update_scalar('val/student0/mIoU', 48.0)
    hook.after_train(runner)
    assert 'student0/mIoU 49.50 is not: predict with that member, or use' in said[0]
    assert '50.00; use a checkpoint in' in said[1]
    hook.after_val_epoch(runner, {})  # of a validation without training


def test_scores_by_progress(config, baseline):
    """Interpolated, of a baseline of another length, and over two starts."""
    folder = baseline({100: 10.0, 300: 30.0}, total=400)
    cfg = prepare_config(copy.deepcopy(config(hook=None)))
    run = find_baseline(cfg, cfg.work_dir)
    assert run.folder == folder and run.max_iters() == 400
    for progress, score in ((0.25, 10.0), (0.5, 20.0), (0.75, 30.0), (1.0, 30.0)):
        assert run.score_at_progress('mIoU', progress) == score
    assert run.score_at_progress('mIoU', 0.2) is None
    assert run.score_at_progress('absent', 1.0) is None
    newer = dict(start='20260102_000000', total=400, resume=True)
    baseline({200: 50.0, 400: 70.0}, **newer)  # at 150 or so
    assert [score.step for score in run.curve('mIoU')] == [100, 200, 400]
    assert run.score_at_progress('mIoU', 0.75) == 60.0
    baseline({200: 8.0}, start='20260103_000000', total=400)
    assert run.curve('mIoU') == [(8.0, 200)], 'from the beginning'
    assert run.score('mIoU') == (8.0, 200) and run.score_at('mIoU', 100) is None


def test_progress_is_rounded(config, baseline):
    baseline({29: 10.0}, total=100)
    run = find_baseline(prepare_config(copy.deepcopy(config())), config().work_dir)
    assert 29 / 100 * 100 < 29 and run.score_at_progress('mIoU', 29 / 100) == 10.0
    assert run.score_at_progress('mIoU', 28 / 100) is None
