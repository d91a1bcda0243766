# Copyright (c) mmseg_ctt contributors.
import json
import time
from collections import defaultdict
from types import SimpleNamespace

import mmengine.runner.log_processor
import pytest
import torch
from leaves import CONFIGS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from toy_data import evaluation_loader, toy_config, toy_method, write_image, write_mask

import mmseg_ctt.engine.log_processor as module
from mmseg_ctt.datasets import LabeledUnlabeledDataset
from mmseg_ctt.deploy.export.stock_config import stock_config
from mmseg_ctt.engine.log_processor import RunLogProcessor, resident_memory

LOG = dict(type='RunLogProcessor', by_epoch=False)
IMAGE, STEP, HOOKS, VALIDATION = 1, 2, 10, 100  # seconds on the clock of the tests


class Slow(Hook):
    """Puts the clock forward behind every other hook."""

    priority = 'LOWEST'

    def __init__(self, clock):
        self.clock = clock

    def after_train_iter(self, *_, **__):
        self.clock.pass_(HOOKS)


class Clock:
    """A clock that stands still but for what a test lets pass."""

    def __init__(self, monkeypatch):
        self.now, self.monkeypatch = 1000.0, monkeypatch
        monkeypatch.setattr(time, 'time', lambda: self.now)

    def pass_(self, seconds):
        self.now += seconds

    def slow_down(self, owner, name, seconds):
        """Each call of a function takes some seconds."""
        function = getattr(owner, name)

        def slow(*arguments, **named):
            result = function(*arguments, **named)
            self.pass_(seconds)
            return result

        self.monkeypatch.setattr(owner, name, slow)


def run(root, work_dir, model=None, hooks=None, **changes):
    changes.setdefault('train_cfg', dict(type='ResumableTrainLoop', max_iters=4))
    cfg = toy_config(
        root,
        work_dir,
        model=model or toy_method('FixMatchSeg'),
        log_processor=LOG,
        default_hooks={'timer': dict(type='DataTimerHook'), **(hooks or {})},
        visualizer=dict(
            type='SegLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend')],
            name=str(work_dir),
        ),
        **{**dict.fromkeys(('val_dataloader', 'val_cfg', 'val_evaluator')), **changes},
    )
    return Runner.from_cfg(cfg)


def rows_of(work_dir):
    """Scalars of each line of the log, and the lines."""
    (scalars,) = work_dir.rglob('scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    (log,) = [path for path in work_dir.rglob('*.log')]
    return rows, [line for line in log.read_text().splitlines() if 'Iter(train)' in line]


def test_columns(root, tmp_path):
    run(root, tmp_path / 'work').train()
    rows, lines = rows_of(tmp_path / 'work')
    assert len(rows) == len(lines) == 4
    for row, line in zip(rows, lines):
        names = [word.rstrip(':') for word in line.split() if word.endswith(':')]
        first = names[names.index('lr') :]
        assert first[:6] == ['lr', 'eta', 'time', 'data_time', 'data_wait', 'memory']
        assert first[6:8] == ['confident_ratio', 'loss']
        assert row['data_wait'] == pytest.approx(row['data_time'] / row['time'])
        assert f'data_wait: {row["data_wait"]:.4f}  memory: {row["memory"]}  ' in line
        assert 0 <= row['data_wait'] <= 1 and 50 < row['memory'] <= resident_memory()
    ratios = [row['student0.confident_ratio'] for row in rows]
    assert rows[-1]['confident_ratio'] == pytest.approx(sum(ratios) / 4), 'a mean of the window'


def test_one_ratio_of_all_students(root, tmp_path):
    run(root, tmp_path / 'work', toy_method('CrossTeacherTraining')).train()
    rows, _ = rows_of(tmp_path / 'work')
    students = [row[f'student{i}.confident_ratio'] for row in rows for i in (0, 1)]
    assert rows[-1]['confident_ratio'] == pytest.approx(sum(students) / 8)


def test_a_method_without_confident_pixels(root, tmp_path):
    run(root, tmp_path / 'work', toy_method('DualTaskConsistency')).train()
    rows, lines = rows_of(tmp_path / 'work')
    assert 'confident_ratio' not in rows[0] and 'memory: ' in lines[0]


def test_without_the_timer(root, tmp_path):
    run(root, tmp_path / 'work', hooks=dict(timer=None)).train()
    rows, lines = rows_of(tmp_path / 'work')
    assert 'data_wait' not in rows[0] and rows[0]['memory'] > 0
    assert lines[0].count('confident_ratio: ') == 2 and lines[0].count('memory: ') == 1


def test_what_counts_as_a_wait(root, tmp_path, monkeypatch):
    """The batch alone; hooks behind the timer, such as a checkpoint, and validations are none."""
    write_image(root / 'val' / 'v.jpg', 20)
    write_mask(root / 'ann' / 'v.png', 20)
    cfg = toy_config(root, tmp_path / 'other')
    runner = run(
        root,
        tmp_path / 'work',
        val_dataloader=evaluation_loader(root),
        val_cfg=cfg.val_cfg,
        val_evaluator=cfg.val_evaluator,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=2),
    )
    clock = Clock(monkeypatch)
    clock.slow_down(LabeledUnlabeledDataset, '__getitem__', IMAGE)
    clock.slow_down(runner.model, 'train_step', STEP)
    clock.slow_down(runner.val_loop, 'run', VALIDATION)
    runner.register_hook(Slow(clock))
    runner.train()
    rows, _ = rows_of(tmp_path / 'work')
    rows = [row for row in rows if 'loss' in row]
    hub, batch = runner.message_hub, 4 * IMAGE
    assert hub.get_scalar('train/data_time').data[0].tolist() == [batch] * 3
    times = [batch + STEP, HOOKS + batch + STEP, VALIDATION + batch + STEP]
    assert hub.get_scalar('train/time').data[0].tolist() == times
    waits = [(i + 1) * batch / sum(times[: i + 1]) for i in range(3)]
    assert [row['data_wait'] for row in rows] == pytest.approx(waits)


def test_accumulated_gradients(root, tmp_path):
    """An iteration is one batch; the columns are as without."""
    wrapper = dict(
        type='OptimWrapper',
        constructor='StudentOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.05),
        accumulative_counts=2,
    )
    run(root, tmp_path / 'work', optim_wrapper=wrapper).train()
    rows, _ = rows_of(tmp_path / 'work')
    assert len(rows) == 4 and {'data_wait', 'memory', 'confident_ratio', 'lr'} <= rows[0].keys()


def test_after_a_resume(root, tmp_path):
    """The window reaches back before the stop, as that of the losses."""
    keep = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
    whole = run(root, tmp_path / 'whole', hooks=keep)
    whole.train()
    rows, _ = rows_of(tmp_path / 'whole')
    resumed = run(
        root,
        tmp_path / 'resumed',
        hooks=keep,
        load_from=str(tmp_path / 'whole' / 'iter_2.pth'),
        resume=True,
    )
    resumed.train()
    others, _ = rows_of(tmp_path / 'resumed')
    assert [row['step'] for row in others] == [3, 4]
    for row, other in zip(rows[2:], others):
        assert row['confident_ratio'] == other['confident_ratio']
        assert {'data_wait', 'memory'} <= other.keys()


# ---- a GPU, and other processes


def fake_runner(**scalars):
    """What a log processor reads of a runner."""
    buffers = defaultdict(HistoryBuffer)
    for name, values in scalars.items():
        for value in values:
            buffers[f'train/{name}'].update(value)
    hub = SimpleNamespace(log_scalars=buffers, runtime_info=dict(eta=9), get_info=lambda _: 9)
    return SimpleNamespace(message_hub=hub, iter=0, max_iters=9, _train_loop=object(), model=None)


def processed(monkeypatch, processor, memory, others=(), **scalars):
    """Scalars and line of a rank with GPU memory, beside rows of other ranks."""
    monkeypatch.setattr(mmengine.runner.log_processor, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(RunLogProcessor, '_get_max_memory', lambda *_: memory)
    gathered = [torch.tensor(row, dtype=torch.float64) for row in others]
    monkeypatch.setattr(module, 'all_gather', lambda row: [row, *gathered])
    return processor.get_log_after_iter(fake_runner(**scalars), 0, 'train')


def test_ranks_with_gpus(monkeypatch):
    """The largest memory and the mean wait; mmengine's own memory is not in the line twice."""
    tag, line = processed(
        monkeypatch,
        RunLogProcessor(by_epoch=False),
        700,
        others=[(0.5, 900), (0.6, 100)],
        time=[1.0, 3.0],
        data_time=[0.1, 0.3],
        loss=[0.25],
    )
    assert tag['memory'] == 900 and tag['data_wait'] == pytest.approx((0.1 + 0.5 + 0.6) / 3)
    assert line.count('memory') == 1
    assert line.endswith('data_time: 0.2000  data_wait: 0.4000  memory: 900  loss: 0.2500')


def test_mean_of_students(monkeypatch):
    ratios = {'student0.confident_ratio': [0.1, 0.3], 'student1.confident_ratio': [0.6]}
    tag, line = processed(monkeypatch, RunLogProcessor(by_epoch=False), 7, **ratios)
    assert tag['confident_ratio'] == pytest.approx(0.4)
    assert line.endswith('student1.confident_ratio: 0.6000  memory: 7  confident_ratio: 0.4000')


def test_a_window_and_a_hierarchy(monkeypatch):
    processor = RunLogProcessor(window_size=1, by_epoch=False, log_with_hierarchy=True)
    tag, _ = processed(monkeypatch, processor, 7, time=[9.0, 2.0], data_time=[0.0, 1.0])
    assert tag['data_wait'] == 0.5 and tag['train/time'] == 2 and tag['memory'] == 7


def test_other_modes_are_those_of_mmengine(root, tmp_path):
    write_image(root / 'val' / 'v.jpg', 20)
    write_mask(root / 'ann' / 'v.png', 20)
    cfg = toy_config(
        root, tmp_path / 'work', log_processor=LOG, val_dataloader=evaluation_loader(root)
    )
    runner = Runner.from_cfg(cfg)
    runner.val()
    (log,) = (tmp_path / 'work').rglob('*.log')
    assert 'data_wait' not in log.read_text() and 'Iter(val)' in log.read_text()


def test_without_a_known_memory(monkeypatch):
    monkeypatch.setattr(module, 'resource', None)
    monkeypatch.setattr(module, 'all_gather', lambda row: [row])
    assert resident_memory() == 0
    tag, line = RunLogProcessor(by_epoch=False).get_log_after_iter(
        fake_runner(time=[1.0], data_time=[0.5]), 0, 'train'
    )
    assert 'memory' not in tag and 'memory' not in line and tag['data_wait'] == 0.5


def test_configs_have_both_and_exports_neither():
    cfg = Config.fromfile(CONFIGS / '_base_' / 'default_runtime.py')
    assert cfg.log_processor.type == 'RunLogProcessor'
    assert cfg.default_hooks.timer.type == 'DataTimerHook'
    stock = stock_config(cfg, dict(type='EncoderDecoder'), {}, [])
    assert stock.log_processor == dict(by_epoch=False) and 'timer' not in stock.default_hooks
    assert cfg.log_processor.type == 'RunLogProcessor', 'the config of the run is not changed'
