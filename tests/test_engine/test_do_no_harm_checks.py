# Copyright (c) mmseg_ctt contributors.
"""What a run is compared by: scores, margins, and what cannot be compared."""

from functools import partial
from pathlib import Path

import pytest
from mmengine.runner import Runner
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import METRICS
from toy_data import toy_method
from toy_guarded import Factors, guarded_config, train, write_baseline

from mmseg_ctt.engine.hooks.do_no_harm_hook import DoNoHarmHook

BOTH = [dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice']), dict(type='VolumeMetric')]


@METRICS.register_module()
class ForeignMetric(IoUMetric):
    """A metric whose scores are not known before the first validation."""


@pytest.fixture
def config(root, tmp_path):
    return partial(guarded_config, root, tmp_path)


@pytest.fixture
def baseline(root, tmp_path):
    return partial(write_baseline, root, tmp_path)


def ready(cfg, **hook):
    """The guard of a run in its second iteration, and its model."""
    runner, made = Runner.from_cfg(cfg), DoNoHarmHook(**hook)
    made.before_run(runner)
    runner.train_loop._iter = 1
    made.before_train(runner)
    return runner, made


@pytest.mark.parametrize(
    'hook, words',
    [
        (dict(margin=-1), 'margin must be at least 0'),
        (dict(patience=0), 'patience must be at least 1'),
        (dict(backoff=1), 'backoff must be below 1'),
        (dict(lowest=0.2), 'lowest needs default_hooks.do_no_harm.backoff'),
        (dict(lowest=2, backoff=0.5), r'lowest must be in \[0, 1\]'),
        (dict(lowest=0.5, backoff=0.3), 'backoff=0.3 is below default_hooks.do_no_harm.lowest=0.5'),
        (dict(backoff=0.05), 'lowest=0.1, so that terms would never come back: set'),
        (dict(baseline='{}/absent'), 'baseline="/.*/absent": this folder has no run'),
        (dict(baseline='{}/late'), 'late has no mIoU of the first 75% of its training: train the'),
        (dict(baseline='{}/late3', patience=3), 'has no mIoU of the first 25% of its training'),
        (dict(metric='miou'), "metric='miou' is no score of validation: set one of aAcc, mAcc, mI"),
        (dict(metric='teacher7/mIoU'), 'member such as student0/mIoU'),
    ],
)
def test_what_cannot_be_compared_is_an_error_before_training(
    config, baseline, tmp_path, hook, words
):
    baseline({4: 50.0}, name='late')
    baseline({3: 50.0}, name='late3')
    if 'baseline' in hook:
        hook = dict(hook, baseline=hook['baseline'].format(tmp_path))
    cfg = config(hook=hook)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        train(cfg)
    assert not Path(cfg.work_dir).exists()


def test_a_run_that_is_not_validated_before_its_end(config):
    with pytest.raises(
        ValueError,
        match='train_cfg.val_interval=4: number of val.* of the run of 4 iterations: 0, so',
    ):
        train(config(hook={}, interval=4))
    cfg = config(hook={}, interval=1)
    cfg.train_cfg.val_begin = 4
    with pytest.raises(
        ValueError, match='val_begin=4: number of validations before .*: 0, .* to 1, or set'
    ):
        train(cfg)
    with pytest.raises(
        ValueError, match='interval=2: number of validations .*: 1 .*patience=2 needs as many'
    ):
        train(config(hook=dict(patience=2), interval=2))
    without = dict(val_dataloader=None, val_evaluator=None, val_cfg=None)
    with pytest.raises(ValueError, match='this run has none: set val_dataloader, val_evaluator'):
        train(config('without', hook={}, **without))


@pytest.mark.parametrize('term', ['unsup', 'sup'])
def test_models_without_other_terms(config, term):
    model = toy_method('FixMatchSeg', loss_weights={term: 0})
    with pytest.raises(ValueError, match='FixMatchSeg has no supervised loss beside others'):
        train(config(hook={}, model=model))


@pytest.mark.parametrize(
    'metric, words',
    [
        ('volume/mHD95', 'lower is better there'),
        ('student0/volume/HD95_class1', 'lower is better there'),
        ('volume/ASD_class2', 'lower is better there'),
        ('volume/ASD_class7', 'is no score of validation: set one of aAcc, mAcc, mDice, mIoU, vol'),
        ('volume/mDice', r'margin=None: volume/mDice is from 0 to 1: .* such as 0\.01'),
        ('student0/volume/Jaccard_class1', 'margin=None: student0/volume/Jaccard_class1 is from'),
    ],
)
def test_scores_of_volumes(config, metric, words):
    with pytest.raises(ValueError, match=words):
        ready(config(val_evaluator=BOTH), metric=metric)


def test_a_margin_on_the_scale_of_the_score(config, baseline):
    changes = dict(val_evaluator=BOTH)
    baseline({1: 0.9}, metric='volume/mDice', **changes)
    with pytest.raises(ValueError, match='margin=1: volume/mDice is from 0 to 1'):
        ready(config(**changes), metric='volume/mDice', margin=1)
    runner, hook = ready(config('a', **changes), metric='volume/mDice', margin=0.02)
    said = []
    runner.logger.info = said.append
    for score, factor in ((0.885, 1.0), (0.875, 1.0), (0.875, 0.0)):  # one may be chance
        hook.after_val_epoch(runner, {'volume/mDice': score})
        assert runner.model.unlabeled_weight.factor == factor
    assert 'best member 0.8750, baseline 0.9000' in said[1]
    _, hook = ready(config('b', **changes), metric='mDice')  # that of IoUMetric is in per cent
    assert hook.score.margin == 1 and not hook.score.is_ratio


def test_the_rule_of_the_best_checkpoint(config):
    for rule, hook in (('less', {}), (['greater', 'less'], dict(metric='mAcc'))):
        best = dict(save_best=['mIoU', 'mAcc'], rule=rule)
        with pytest.raises(ValueError, match='metric=.*: lower is better there'):
            ready(config(best=best), **hook)
    foreign, best = dict(type='ForeignMetric'), dict(save_best='gloss', rule='greater')
    _, hook = ready(config(best=best, val_evaluator=foreign))
    assert hook.score.name == 'gloss'
    with pytest.raises(ValueError, match='lower is better there'):
        ready(config(val_evaluator=foreign), metric='student0/loss_ce')


def test_an_unknown_metric_without_a_baseline(config, baseline):
    """The guard is off, and does not end the run at the first validation."""
    cfg = config(hook=dict(metric='absent'), val_evaluator=dict(type='ForeignMetric'))
    _, log = train(cfg, factors := Factors())
    assert 'default_hooks.do_no_harm is off' in log and factors.found == [1.0] * 4
