# Copyright (c) mmseg_ctt contributors.
"""Runs in a pseudo-terminal: what the live line shows, and what the log keeps."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from terminal import Terminal, cursor_shown
from toy_data import CROP, toy_config, toy_method

from mmseg_ctt.engine.baseline_run import find_baseline, named_baseline
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.engine.hooks.live_line_hook import Figure, fitted
from mmseg_ctt.engine.live_line import stop_live_line
from mmseg_ctt.engine.score_checks import main_metric

TESTS = Path(__file__).resolve().parents[1]
LOCAL = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
LOOP = dict(type='ResumableTrainLoop', max_iters=3, val_interval=2)


def plain(cfg: Config) -> dict:
    """Changes that make the supervised baseline of a run."""
    network = cfg.model.segmentor.to_dict()
    network['data_preprocessor'] = dict(type='SegDataPreProcessor', size=CROP)
    return dict(model=network)


@pytest.fixture
def config(root, tmp_path):
    """A config with the live line, in a work dir of its own."""

    def config(name='ctt', live=None, **changes) -> Config:
        hooks = dict(
            timer=dict(type='DataTimerHook'), live=dict(type='LiveLineHook', **(live or {}))
        )
        cfg = toy_config(
            root,
            tmp_path / name,
            hooks={**hooks, **changes.pop('hooks', {})},
            train_cfg=LOOP,
            model=changes.pop('model', None) or toy_method('FixMatchSeg'),
            visualizer=dict(LOCAL, name=f'{tmp_path}/{name}'),
            **changes,
        )
        return cfg

    return config


@pytest.fixture
def train_in_terminal(monkeypatch):
    """Train in a terminal of a width, and return it."""

    def train(cfg: Config, *hooks: Hook, columns: int = 160, error=None) -> Terminal:
        terminal = Terminal(columns)
        monkeypatch.setenv('TERM', 'xterm')
        monkeypatch.setenv('COLUMNS', str(columns))
        for name in ('NO_COLOR', 'FORCE_COLOR', 'TTY_COMPATIBLE'):
            monkeypatch.delenv(name, raising=False)
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'stdout', terminal.stream)
            patch.setattr('mmseg_ctt.engine.hooks.live_line_hook.PERIOD', 0)
            runner = Runner.from_cfg(cfg)
            for hook in hooks:
                runner.register_hook(hook)
            if error is None:
                runner.train()
            else:
                with pytest.raises(error):
                    runner.train()
            assert sys.stdout is terminal.stream, 'given back'
        terminal.close()
        return terminal

    yield train
    stop_live_line()


def log_of(cfg: Config) -> str:
    (log,) = Path(cfg.work_dir).glob('*/*.log')
    return log.read_text()


class Speaks(Hook):
    """Logs and warns in the middle of a run."""

    def after_train_iter(self, runner, *_, **__) -> None:
        runner.logger.warning(f'take care {runner.iter}')
        print('printed by a stranger')


def test_a_run_in_a_terminal(config, train_in_terminal):
    cfg = config()
    terminal = train_in_terminal(cfg, Speaks())
    shown, text = terminal.screen, '\n'.join(terminal.screen)
    for words in (
        'iteration 1 of 3',
        'iteration 3 of 3',
        'validation 2 of 3',
        ' MiB',
        'data wait ',
    ):
        assert words in terminal.raw and words not in text, words
    assert 'confident ' in terminal.raw and '0:00:00 left' in terminal.raw
    assert shown.count('printed by a stranger') == 3
    assert len([line for line in shown if 'take care' in line]) == 3
    scores = [line for line in shown if line.startswith('iteration ')]
    assert [line.split()[1] for line in scores] == ['2:', '3:'] and 'mIoU ' in scores[0]
    assert 'Iter(train)' not in text and 'Iter(val)' not in text and 'Saving checkp' not in text
    assert cursor_shown(terminal.raw)
    log = log_of(cfg)
    assert log.count('Iter(train)') == 3 and 'mIoU: ' in log and 'take care 2' in log
    assert '\x1b' not in log


def test_all_lines(config, train_in_terminal):
    live = dict(all_lines=True, baseline=None, metric='absent')
    terminal = train_in_terminal(config(live=live))
    text = '\n'.join(terminal.screen)
    assert text.count('Iter(train)') == 3 and 'Iter(val)' in text
    assert text.count('live.metric="absent" is no score of the validation') == 1
    assert 'iteration 3 of 3' in terminal.raw


def test_no_terminal(config, capsys):
    """As without the hook."""
    cfg = config()
    Runner.from_cfg(cfg).train()
    shown = capsys.readouterr().out
    assert shown.count('Iter(train)') == 3 and '\x1b[2K' not in shown
    assert 'iteration 3: mIoU' not in shown


class Fails(Hook):
    def __init__(self, error) -> None:
        self.error = error

    def after_train_iter(self, runner, *_, **__) -> None:
        if runner.iter:
            raise self.error


@pytest.mark.parametrize('error', [ValueError('no'), KeyboardInterrupt(), SystemExit(75)])
def test_a_run_that_ends_early_leaves_a_plain_terminal(config, train_in_terminal, error):
    terminal = train_in_terminal(config(), Fails(error), error=type(error))
    assert 'iteration 1 of 3' in terminal.raw
    assert 'iteration 1 of 3  ' not in '\n'.join(terminal.screen) and cursor_shown(terminal.raw)


def test_ctrl_c_of_a_script(config, tmp_path):
    """``tools/train.py`` in a terminal: the line is shown, then a checkpoint is saved."""
    cfg = config(hooks=dict(preemption=dict(type='PreemptionHook')))
    cfg.train_cfg.update(max_iters=100_000, val_interval=100_000)
    cfg.dump(tmp_path / 'toy.py')
    terminal = Terminal(columns=160)
    environment = {**os.environ, 'PYTHONPATH': str(TESTS), 'TERM': 'xterm', 'COLUMNS': '160'}
    process = subprocess.Popen(
        [sys.executable, str(TESTS.parent / 'tools' / 'train.py'), str(tmp_path / 'toy.py')],
        **dict.fromkeys(('stdin', 'stdout', 'stderr'), terminal.slave),
        start_new_session=True,
        env={**environment, 'OMP_NUM_THREADS': '1'},
    )
    started, end = r'iteration [1-9]\d* of', time.monotonic() + 300
    while not re.search(started, terminal.raw) and process.poll() is None:
        assert time.monotonic() < end or process.kill(), terminal.raw[-2000:]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    code = process.wait(timeout=120)
    terminal.close()
    text = '\n'.join(terminal.screen)
    assert code == 130 and 'Ctrl-C: saved iter_' in text, text[-2000:]
    assert cursor_shown(terminal.raw) and terminal.screen[-1] == ''
    assert 'Warning' not in text and 'Traceback' not in text, text
    assert list(Path(cfg.work_dir).glob('iter_*.pth'))


# ---- the baseline


@pytest.fixture
def runs(config):
    """The config of a run, and of its baseline, which has been trained."""
    cfg = config()
    baseline = config('supervised_toy', **plain(cfg), hooks=dict(live=None))
    baseline.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=0)
    runner = Runner.from_cfg(baseline)
    runner.train()
    return cfg, baseline


def test_score_of_the_baseline(runs, train_in_terminal):
    cfg, baseline = (prepare_config(copy.deepcopy(cfg)) for cfg in runs)
    (scalars,) = Path(baseline.work_dir).rglob('scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    score = [row['mIoU'] for row in rows if 'mIoU' in row][-1]
    found = find_baseline(cfg, cfg.work_dir)
    assert found.folder == Path(baseline.work_dir) and found.score('mIoU') == (score, 3)
    assert found.score('absent') is None
    terminal = train_in_terminal(runs[0])
    assert f'baseline: {baseline.work_dir}' in terminal.screen
    assert f'(baseline {score:.2f})' in terminal.raw
    named = named_baseline(cfg, baseline.work_dir)
    assert named.score('mIoU') == found.score('mIoU')

    # never a run on other data, of another network, or a newer start of another kind
    for change in (
        {'val_dataloader.dataset.ann_file': 'splits/toy/unlabeled.txt'},
        {'train_dataloader.dataset.split': 'splits/other'},
        {'model.segmentor.decode_head.channels': 9},
        {'val_evaluator.iou_metrics': ['mDice']},
    ):
        other = Config(cfg.to_dict())
        other.merge_from_dict(change)
        assert find_baseline(other, cfg.work_dir) is None, change
    assert find_baseline(baseline, cfg.work_dir) is None, 'a baseline has none'
    other = Config(cfg.to_dict())
    other.merge_from_dict({'val_dataloader.dataset.ann_file': 'splits/toy/unlabeled.txt'})
    with pytest.raises(ValueError, match='differ in val_dataloader.dataset'):
        named_baseline(other, baseline.work_dir)
    with scalars.open('a') as file:
        file.write('{"mIoU": 99.0, "st')  # being written
    assert find_baseline(cfg, cfg.work_dir).score('mIoU') == (score, 3)
    newer = scalars.parents[1].with_name('30000101_000000') / 'vis_data'
    shutil.copytree(scalars.parent, newer)
    cfg.dump(newer / 'config.py')
    assert find_baseline(cfg, cfg.work_dir) is None


def test_a_named_baseline_is_checked_before_anything_is_written(config, tmp_path):
    cfg = config(live=dict(baseline=str(tmp_path / 'absent')))
    with pytest.raises(FileNotFoundError, match='default_hooks.live.baseline="/.*/absent"'):
        Runner.from_cfg(cfg).train()
    assert not Path(cfg.work_dir).exists()


# ---- the line


@pytest.mark.parametrize(
    'width, line',
    [
        (30, '###-----------  long a  long b'),
        (14, 'long a  long b'),
        (13, 'a  b'),
        (4, 'a  b'),
        (3, 'a'),
    ],
)
def test_what_has_room(width, line):
    figures = [Figure('long a', 'a'), Figure('long b', 'b')]
    assert fitted(figures, width, 0.2).plain == line and len(line) <= width


def test_main_metric():
    assert main_metric(['student0/mIoU', 'mIoU', 'aAcc']) == 'mIoU'
    names = ['time', 'student0/volume/Dice', 'student0/volume/ASD', 'volume/Dice', 'volume/ASD']
    assert main_metric(names) == 'volume/Dice'
    assert main_metric(['rotation', 'time']) == 'rotation' and main_metric([]) == 'mIoU'
