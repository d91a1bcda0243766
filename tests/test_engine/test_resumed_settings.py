# Copyright (c) mmseg_ctt contributors.
"""Settings that have changed since the run that is resumed."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import LABELED, SPLIT, UNLABELED, toy_config, write_lists, write_toy_data
from versions import FUSED

from mmseg_ctt.engine.config_changes import ABSENT, changes, parse_config, shown
from mmseg_ctt.engine.resumed_settings import compare, report


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Data, and the checkpoint of iteration 3 of a run of 6."""
    folder = tmp_path_factory.mktemp('resumed')
    root = write_toy_data(folder / 'data')
    train(build(root, folder / 'work'))
    return root, folder / 'work' / 'iter_3.pth'


def build(root, work, resume=None, options=None, **changes):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=None if resume is None else str(resume),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=6, val_interval=100),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=3)),
        **changes,
    )
    cfg.merge_from_dict(options or {})
    return Runner.from_cfg(cfg)


def train(runner):
    """Train, and return the lines of the log by level."""
    lines = dict(warning=[], info=[])
    for level, kept in lines.items():
        real = getattr(runner.logger, level)
        setattr(
            runner.logger,
            level,
            lambda m, *a, k=kept, r=real, **b: (k.append(str(m)), r(m, *a, **b)),
        )
    try:
        runner.train()
    finally:
        for level in lines:
            delattr(runner.logger, level)
    return lines


def line_of(lines, level, start):
    found = [line for line in lines[level] if line.startswith(start)]
    assert len(found) <= 1
    return found[0] if found else ''


KEPT = 'these settings of the config have no effect on a resumed run'
TAKEN = 'the resumed run goes on with other settings'


def test_nothing_is_listed_where_nothing_has_changed(made, tmp_path):
    root, checkpoint = made
    lines = train(build(root, tmp_path, checkpoint))
    assert not line_of(lines, 'warning', KEPT) and not line_of(lines, 'info', TAKEN)


NOT_TAKEN = {
    'optim_wrapper.optimizer.lr': (0.00005, '0.05'),
    'optim_wrapper.optimizer.weight_decay': (0.5, 'not set'),
    'optim_wrapper.optimizer.momentum': (0.1, '0.9'),
    'param_scheduler.0.power': (3.0, '0.9'),
    'param_scheduler.0.eta_min': (0.01, '0'),
    'randomness.seed': (8, '3'),
    'train_dataloader.sampler.seed': (8, 'not set'),
    'default_hooks.queue_warmup.start_iter': (5, '0'),  # the contrast is on
    'model.segmentor.backbone.init_cfg': (dict(layer='Conv2d', type='Kaiming'), 'not set'),
}


@pytest.mark.parametrize('key', [*NOT_TAKEN])
def test_what_the_state_of_the_checkpoint_decides(made, tmp_path, key):
    root, checkpoint = made
    new, old = NOT_TAKEN[key]
    expected = build(root, tmp_path / 'same', checkpoint)
    train(expected)
    runner = build(root, tmp_path / 'other', checkpoint, {key: new})
    line = line_of(train(runner), 'warning', KEPT)
    assert f'{key}={new} ({old} goes on)' in line
    assert 'load_from=CHECKPOINT without --resume' in line and '\n' not in line
    states = [r.model.state_dict() for r in (expected, runner)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    # the next checkpoint says what is in force: resuming it with the same config warns again
    text = torch.load(tmp_path / 'other' / 'iter_6.pth', weights_only=False)['meta']['cfg']
    node, *path = parse_config(text), *key.split('.')
    for name in path[:-1]:
        node = node[int(name) if isinstance(node, list) else name]
    assert shown(node.get(path[-1], ABSENT)) == old


TAKEN_KEYS = {
    'default_hooks.teacher_ema.alpha': 0.5,
    'optim_wrapper.clip_grad': dict(max_norm=1),
    'model.loss_weights': dict(hc=0.7),
    'train_dataloader.batch_size': 2,
    'train_dataloader.sampler.ratio': [1, 2],
    'train_dataloader.dataset.unlabeled.pipeline.3.prob': 0.0,
    'train_dataloader.dataset.split': 'splits/other',
}


@pytest.mark.parametrize('key', [*TAKEN_KEYS])
def test_what_is_taken_from_the_config(made, tmp_path, key):
    root, checkpoint = made
    write_lists(root / 'splits' / 'other', LABELED[:2], UNLABELED)
    options = {key: TAKEN_KEYS[key]}
    if key.endswith('ratio'):
        options['train_dataloader.batch_size'] = 3
    runner = build(root, tmp_path, checkpoint, options)
    lines = train(runner)
    assert key in line_of(lines, 'info', TAKEN)
    assert not line_of(lines, 'warning', KEPT)
    number = line_of(lines, 'warning', 'the data have 2 labeled, 3 unlabeled images')
    assert bool(number) == key.endswith('split')


def test_a_list_that_has_changed_under_its_name(made, tmp_path):
    root, checkpoint = made
    try:
        write_lists(root / SPLIT, LABELED[:2])
        lines = train(build(root, tmp_path, checkpoint))
    finally:
        write_lists(root / SPLIT)
    line = line_of(lines, 'warning', 'the data have 2 labeled, 3 unlabeled images')
    assert 'the run so far had 3 labeled, 3 unlabeled' in line


def test_hooks_that_watch_are_not_listed(made, tmp_path):
    root, checkpoint = made
    options = {'default_hooks.logger.interval': 2, 'default_hooks.checkpoint.max_keep_ckpts': 1}
    assert not line_of(train(build(root, tmp_path, checkpoint, options)), 'info', TAKEN)


REFUSED = [
    (
        {'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW', lr=0.1)},
        r'optim_wrapper.optimizer.type="AdamW", but the resumed run has "SGD".*load_from',
    ),
    (
        {'param_scheduler': [dict(type='CosineAnnealingLR', T_max=9, by_epoch=False)]},
        r'param_scheduler.0.type="CosineAnnealingLR", but the resumed run has "PolyLR"',
    ),
    ({'param_scheduler': []}, 'param_scheduler has 0 schedules, but the resumed run has 1'),
    (
        {'optim_wrapper.paramwise_cfg': dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))},
        r'groups of \[\d+\] parameters and this config makes \[\d+, \d+\].*paramwise_cfg',
    ),
    (
        {'default_hooks.alignment': dict(type='DistributionAlignmentHook')},
        r'alignment.teacher0.target is absent there.*; default_hooks.alignment is not set there',
    ),
    ({'model.bank': dict(size=7)}, r'another model.*; model.bank.size is \d+ there and 7 here'),
]


@pytest.mark.parametrize('options, words', REFUSED)
def test_state_that_does_not_fit(made, tmp_path, options, words):
    root, checkpoint = made
    runner = build(root, tmp_path, checkpoint, options)
    with pytest.raises(ValueError, match=words) as error:
        runner.train()
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('kind, fits', [('FixMatchSeg', False), ('CutMixSeg', True)])
def test_another_method(kind, fits, tmp_path, monkeypatch):
    """Its networks, all in the checkpoint, do not tell that it is another."""
    root = write_toy_data(tmp_path / 'data')
    student = dict(num_pairs=1, segmentor=toy_segmentor(), strong_augmentation=[])
    train(build(root, tmp_path / 'work', model=dict(type='CutMixSeg', **student)))
    options = dict(resume=tmp_path / 'work' / 'iter_3.pth', model=dict(type=kind, **student))
    if fits:
        train(build(root, tmp_path / 'again', **options))
        return
    with pytest.raises(ValueError, match='model.type="FixMatchSeg", but .* is of "CutMixSeg"'):
        train(build(root, tmp_path / 'again', **options))


def test_what_is_taken_is_on_the_console(made, tmp_path, capsys):
    root, checkpoint = made
    runner = build(root, tmp_path, checkpoint, {'train_cfg.val_interval': 50})
    runner.train()
    assert TAKEN in capsys.readouterr().out


def test_another_optimiser_without_the_text_of_the_config(made, tmp_path):
    root, checkpoint = made
    state = torch.load(checkpoint, weights_only=False)
    del state['meta']['cfg']
    torch.save(state, tmp_path / 'iter_3.pth')
    optimizer = {'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW', lr=0.1)}
    with pytest.raises(ValueError, match=r'type="AdamW".*an optimiser without betas'):
        build(root, tmp_path, tmp_path / 'iter_3.pth', optimizer).train()
    lines = train(build(root, tmp_path, tmp_path / 'iter_3.pth'))
    assert line_of(lines, 'warning', 'the checkpoint holds no config that can be read')


@FUSED
@pytest.mark.parametrize('saved, own', [(True, False), (False, True)])
def test_a_fused_optimiser_of_another_machine(root_of_adamw, tmp_path, saved, own):
    """How the optimiser computes is a matter of the machine, and of its version of PyTorch."""
    root, state = root_of_adamw
    state = copy.deepcopy(state)
    for group in state['optimizer']['param_groups']:
        group.update(fused=saved, capturable=False, from_another_version=1)
        group.pop('decoupled_weight_decay', None)  # of newer versions
    torch.save(state, tmp_path / 'iter_3.pth')
    adamw = wrapper(fused=own)
    runner = build(root, tmp_path, tmp_path / 'iter_3.pth', optim_wrapper=adamw)
    lines = train(runner)
    assert [group['fused'] for group in runner.optim_wrapper.param_groups] == [own]
    assert not line_of(lines, 'warning', KEPT)
    steps = {float(moment['step']) for moment in runner.optim_wrapper.optimizer.state.values()}
    assert steps == {6.0}  # three of them are those of the checkpoint


def test_one_number_of_a_pair(root_of_adamw, tmp_path):
    """The text of a config has lists in the place of tuples."""
    root, state = root_of_adamw
    torch.save(state, tmp_path / 'iter_3.pth')
    adamw = wrapper(betas=(0.9, 0.95))
    runner = build(root, tmp_path, tmp_path / 'iter_3.pth', optim_wrapper=adamw)
    line = line_of(train(runner), 'warning', KEPT)
    assert 'optim_wrapper.optimizer.betas.1=0.95 (0.999 goes on)' in line
    assert runner.cfg.optim_wrapper.optimizer.betas == (0.9, 0.999)


def wrapper(fused=False, betas=(0.9, 0.999)):
    adamw = dict(type='AdamW', lr=1e-3, fused=fused, betas=betas)
    kind = 'StudentOptimWrapperConstructor'
    return dict(type='OptimWrapper', constructor=kind, optimizer=adamw)


@pytest.fixture(scope='module')
def root_of_adamw(made):
    root, _ = made
    work = root.parent / 'adamw'
    build(root, work, optim_wrapper=wrapper()).train()
    return root, torch.load(work / 'iter_3.pth', weights_only=False)


def test_best_score_of_another_metric_is_forgotten(root_of_adamw, tmp_path):
    root, _ = root_of_adamw
    validating = {'train_cfg.val_interval': 3}
    best = {'default_hooks.checkpoint.save_best': 'mIoU'}
    train(build(root, tmp_path / 'a', None, {**validating, **best}))
    path = tmp_path / 'a' / 'iter_3.pth'
    state = torch.load(path, weights_only=False)
    state['message_hub']['runtime_info']['best_score'] = 1000.0
    torch.save(state, path)
    for metric, known in (('mIoU', 1000.0), ('aAcc', None)):
        best = {'default_hooks.checkpoint.save_best': metric}
        runner = build(root, tmp_path / metric, path, {**validating, **best})
        train(runner)
        score = runner.message_hub.get_info('best_score')
        assert score == known if known else 0 < score <= 100


@pytest.mark.parametrize(
    'options, forgotten',
    [
        ({'val_dataloader.dataset.ann_file': 'hard.txt'}, True),
        ({'val_dataloader.dataset.pipeline': [dict(type='LoadImageFromFile')]}, True),
        ({'val_evaluator.ignore_index': 7}, True),
        ({'model.test_cfg.predict_on': 'ensemble'}, True),
        ({'model.segmentor.test_cfg.mode': 'slide'}, True),
        ({'val_dataloader.num_workers': 4, 'val_dataloader.persistent_workers': True}, False),
        ({'val_dataloader.batch_size': 2, 'val_dataloader.dataset.data_root': '/moved'}, False),
        ({'test_dataloader.dataset.ann_file': 'hard.txt', 'model.loss_weights': {}}, False),
        ({'val_dataloader.dataset.ann_file': '/moved/easy.txt'}, False),
        ({'val_dataloader.dataset.ann_file': '/moved/hard.txt'}, True),
        ({'val_dataloader.dataset.pipeline.0.backend_args': dict(backend='local')}, False),
    ],
)
def test_best_score_of_another_validation_is_forgotten(tmp_path, caplog, options, forgotten):
    cfg = toy_config(tmp_path, tmp_path)
    cfg.val_dataloader.dataset.ann_file = '/data/easy.txt'
    hub = dict(runtime_info=dict(best_score=90.0, best_ckpt='best_mIoU_iter_2.pth', iter=2))
    checkpoint = dict(state_dict={}, message_hub=hub, meta=dict(cfg=cfg.pretty_text))
    cfg.merge_from_dict(options)
    runner = SimpleNamespace(cfg=cfg, logger=logging.getLogger('best'))
    with caplog.at_level(logging.INFO, 'best'):
        report(runner, checkpoint, compare(runner, checkpoint))
    assert set(hub['runtime_info']) == (
        {'iter'} if forgotten else {'best_score', 'best_ckpt', 'iter'}
    )
    assert ('best score so far is forgotten' in caplog.text) == forgotten
    assert not forgotten or f'measured with another {next(iter(options))[:14]}' in caplog.text


# ---- texts of configs


def test_texts_of_configs():
    cfg = Config(
        dict(
            a=dict(b=[dict(c=1, d=(1, 2)), 'x']),
            odd={'a-b': dict(c=None), '1': float('inf')},
            tuples=((1, -2.5), 'it\'s "quoted"'),
        )
    )
    parsed = parse_config(cfg.pretty_text)
    assert parsed['a'] == dict(b=[dict(c=1, d=[1, 2]), 'x'])
    assert parsed['odd'] == {'a-b': dict(c=None), '1': 'inf'}
    assert parsed['tuples'] == [[1, -2.5], 'it\'s "quoted"']
    other = copy.deepcopy(parsed)
    other['a']['b'][0]['d'] = [1, 3]
    other['odd']['a-b'] = dict(e=4)
    found = {change.key: (change.old, change.new) for change in changes(parsed, other)}
    assert found == {'a.b.0.d.1': (2, 3), 'odd.a-b.c': (None, ABSENT), 'odd.a-b.e': (ABSENT, 4)}
    assert changes(parsed, copy.deepcopy(parsed)) == []
    assert changes(dict(a=[1]), dict(a=[1, 2]))[0].key == 'a'


def test_a_config_in_a_checkpoint_is_never_run(tmp_path):
    text = f"a = open({str(tmp_path / 'made')!r}, 'w')\nb = dict(c=__import__('os'))\nd = 1"
    parsed = parse_config(text)
    assert parsed['d'] == 1 and not (tmp_path / 'made').exists()
    assert parsed['b'] == dict(c="__import__('os')")
    assert parse_config('a = (') is None
