# Copyright (c) mmseg_ctt contributors.
"""Epochs, schedules and stages that a run by iterations would never reach."""

from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.runner import Runner
from toy import ready_model
from toy_data import toy_config, toy_method, write_toy_data

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.methods.stpg import AnchorAssignmentHook


@pytest.fixture
def root(tmp_path):
    return write_toy_data(tmp_path / 'data')


EPOCHS = [
    dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=1),
    dict(by_epoch=True, max_epochs=4),
    dict(type='ResumableTrainLoop', max_epochs=4),
    dict(type='EpochBasedTrainLoop', max_epochs=4, max_iters=2),
]


@pytest.mark.parametrize('loop', EPOCHS)
def test_epochs_that_would_never_end(root, tmp_path, loop):
    cfg = toy_config(root, tmp_path, train_cfg=loop)
    cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=3)
    with pytest.raises(ValueError) as error:
        Runner.from_cfg(cfg)
    line = str(error.value)
    assert line.startswith('train_cfg.max_epochs=4: the sampler LabeledUnlabeledSampler draws')
    assert 'type="ResumableTrainLoop", max_iters=N' in line and '\n' not in line
    # 3 images of each; a batch of four has one labelled and three unlabelled ones
    assert line.endswith(
        '4 passes are N=12 for the labeled images and N=4 for the unlabeled images'
    )


def test_passes_of_a_repeated_set(root, tmp_path):
    cfg = toy_config(root, tmp_path, train_cfg=EPOCHS[0])
    data = cfg.train_dataloader.dataset
    data.labeled = dict(type='RepeatDataset', times=50, dataset=data.labeled)
    with pytest.raises(ValueError, match='N=6 for the labeled images and N=6 for the unl'):
        prepare_config(cfg)


def test_epochs_without_a_data_set(root, tmp_path):
    cfg = toy_config(tmp_path / 'nowhere', tmp_path, train_cfg=EPOCHS[0])
    with pytest.raises(ValueError, match='by_epoch=False in param_scheduler$'):
        prepare_config(cfg)


def test_epochs_of_a_sampler_with_an_end(root, tmp_path):
    cfg = toy_config(root, tmp_path, train_cfg=EPOCHS[0])
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    cfg.param_scheduler = [dict(type='PolyLR')]
    prepare_config(cfg)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    with pytest.raises(ValueError, match='sampler InfiniteSampler draws without end'):
        prepare_config(cfg)


def test_a_schedule_by_epochs_would_never_move(root, tmp_path):
    cfg = toy_config(root, tmp_path)
    cfg.param_scheduler = [cfg.param_scheduler[0], dict(type='PolyLR', begin=1, end=2)]
    with pytest.raises(ValueError, match=r'param_scheduler.1 counts epochs.*Set .*by_epoch=False'):
        prepare_config(cfg)
    cfg.param_scheduler[1].update(convert_to_iter_based=True)
    prepare_config(cfg)
    cfg.param_scheduler = dict(type='PolyLR')
    with pytest.raises(ValueError, match='param_scheduler.0 counts epochs'):
        prepare_config(cfg)


@pytest.mark.parametrize('kind, given', [('CheckpointHook', {}), ('SafeCheckpointHook', True)])
def test_checkpoints_by_epochs_would_never_come(root, tmp_path, kind, given):
    hook = dict(type=kind, interval=5, **(dict(by_epoch=True) if given else {}))
    cfg = toy_config(root, tmp_path)
    cfg.default_hooks.checkpoint = hook
    with pytest.raises(ValueError, match='default_hooks.checkpoint.by_epoch=True.*by_epoch=False'):
        prepare_config(cfg)
    for good in (dict(by_epoch=False), dict(interval=-1)):
        prepare_config(toy_config(root, tmp_path, hooks=dict(checkpoint={**hook, **good})))


@pytest.mark.parametrize(
    'hook, words',
    [
        (EMAHook(begin_iter=9), 'EMAHook.begin_iter=9'),
        (CheckpointHook(by_epoch=False, save_begin=9), 'default_hooks.checkpoint.save_begin=9'),
        (AnchorAssignmentHook(interval=10), 'default_hooks.anchor_assignment.interval=10'),
    ],
)
def test_stages_that_never_begin(hook, words):
    model = ready_model('STPG')
    line = late_stage(model, [hook], dict(max_iters=9))
    assert line.startswith(f'{words}, but the run has 9 iterations') and '\n' not in line
    assert late_stage(model, [hook], dict(max_iters=10)) is None


def test_validation_that_never_begins():
    assert late_stage(SimpleNamespace(), [], dict(max_iters=9, val_begin=9)) is None
    line = late_stage(SimpleNamespace(), [], dict(max_iters=9, val_begin=10))
    assert line.startswith('train_cfg.val_begin=10, but the run has 9 iterations')


@pytest.mark.parametrize('loop', ['ResumableTrainLoop', 'IterBasedTrainLoop'])
def test_a_late_contrast_ends_the_run_before_the_first_iteration(root, tmp_path, loop):
    cfg = toy_config(root, tmp_path, train_cfg=dict(type=loop, max_iters=6))
    cfg.default_hooks.queue_warmup.start_iter = 6
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match='queue_warmup.start_iter=6, but the run has 6'):
        runner.train()
    assert runner.iter == 0
    off = toy_config(root, tmp_path, model=toy_method('CrossPseudoSupervision'))
    off.default_hooks.queue_warmup = dict(type='QueueWarmupHook', start_iter=6)
    Runner.from_cfg(off).train()  # no contrast, nothing that could be late


@pytest.mark.parametrize('number, interval', [(3, 3), (50, 50), (80, 50)])
def test_a_short_run_has_an_entry_in_its_log(root, tmp_path, number, interval):
    cfg = toy_config(root, tmp_path)
    cfg.train_cfg.update(max_iters=number, val_interval=number)
    cfg.default_hooks.logger = dict(type='LoggerHook', interval=50, log_metric_by_epoch=False)
    assert prepare_config(cfg).default_hooks.logger.interval == interval
