# Copyright (c) mmseg_ctt contributors.
"""The start of a run: what it writes, when, and what the console shows."""

import copy
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import SPLIT, toy_config

from mmseg_ctt.engine import recorded_config

NAME = 'toy.py'


@pytest.fixture
def work(tmp_path) -> Path:
    return tmp_path / 'work'


@pytest.fixture
def start(root, work, tmp_path):
    """Build and train a run from a config file, as ``tools/train.py`` does."""

    def start(hook=None, **changes):
        path = tmp_path / NAME
        local = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
        toy_config(root, work, visualizer=local, **changes).dump(path)
        runner = Runner.from_cfg(Config.fromfile(path))
        if hook is not None:
            runner.register_hook(hook)
        runner.train()
        return runner

    return start


def tree(folder: Path) -> dict:
    """Content of every file below a folder, and its folders."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob('*')
    }


class FailsBeforeTraining(Hook):
    def before_train(self, runner) -> None:
        raise ValueError('too late')


FAILURES = {
    'no data': dict(changes=dict(val_dataloader=None)),
    'missing list': dict(spoil=lambda root: (root / SPLIT / 'labeled.txt').unlink()),
    'no model of this name': dict(changes=dict(model=dict(type='Absent'))),
    'no hook of this name': dict(changes=dict(hooks=dict(mine=dict(type='AbsentHook')))),
    'missing weights': dict(changes=dict(load_from='absent.pth')),
    'no checkpoint to resume': dict(changes=dict(resume=True, load_from='absent.pth')),
    'a hook at its start': dict(hook=FailsBeforeTraining()),
    'optimiser': dict(changes=dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict()))),
}


@pytest.mark.parametrize('present', [False, True])
@pytest.mark.parametrize('name', FAILURES)
def test_a_start_that_fails_changes_nothing(name, present, root, work, start, monkeypatch):
    monkeypatch.setattr('toy_data.required_hooks', lambda model: {})
    case = FAILURES[name]
    before = {}
    if present:
        teachers = dict(teacher_ema=dict(type='TeacherEMAHook'))
        warmup = dict(queue_warmup=dict(type='QueueWarmupHook', start_iter=1, interval=1))
        start(hooks={**teachers, **warmup})
        before = tree(work)
        assert Path(NAME) in before
    case.get('spoil', lambda _: None)(root)
    with pytest.raises(Exception):  # noqa: B017, of any type: mmengine's own among them
        start(case.get('hook'), **case.get('changes', {}))
    assert (tree(work) if work.exists() else {}) == before


def test_what_a_start_writes(start, work):
    runner = start()
    (log,) = work.glob('*/*.log')
    assert log.parent == Path(runner.log_dir)
    text = log.read_text()
    for words in ('System environment:', 'Config:\n', 'Hooks will be executed', 'Iter(train)'):
        assert words in text, words
    assert text.index('System environment') < text.index('CrossTeacherTraining, 4 networks')
    assert (work / NAME).is_file() and (log.parent / 'vis_data' / 'config.py').is_file()
    assert runner.work_dir == str(work) and runner.cfg.work_dir == str(work)


def test_log_of_workers(root, work, start):
    """They are forked before the file exists."""
    (root / 'img' / 'u1.jpg').write_bytes(b'no image')
    cfg = toy_config(root, work)
    loader = {**cfg.train_dataloader.to_dict(), 'num_workers': 1}
    loader['dataset']['skip_unreadable'] = True
    start(train_dataloader=loader, train_cfg=dict(type='ResumableTrainLoop', max_iters=3))
    (log,) = work.glob('*/*.log')
    assert 'skipped unreadable image' in log.read_text()
    assert log.read_text().count('System environment:') == 1


# ---- recorded configs


def test_an_equal_config_is_recorded_once(start, work):
    start(experiment_name='same')
    first = tree(work)[Path(NAME)]
    start(experiment_name='same')
    start(experiment_name='same', resume=True, load_from=str(save(work)))
    assert [path.name for path in work.glob('*.py')] == [NAME]
    assert tree(work)[Path(NAME)] == first


def save(work: Path) -> Path:
    (checkpoint,) = work.glob('iter_*.pth')
    return checkpoint


def test_another_config_goes_beside_the_first(start, work):
    start(experiment_name='same')
    first = tree(work)[Path(NAME)]
    runner = start(experiment_name='same', randomness=dict(seed=4))
    beside = f'toy_{runner.timestamp}.py'
    assert {path.name for path in work.glob('*.py')} == {NAME, beside}
    assert tree(work)[Path(NAME)] == first
    assert Config.fromfile(work / beside).randomness.seed == 4


def test_a_later_config_is_recorded_once(start, work):
    start(experiment_name='same')
    start(experiment_name='same', randomness=dict(seed=4))
    before = set(work.glob('*.py'))
    (second,) = before - {work / NAME}
    older = second.rename(work / 'toy_20260101_000000.py')
    start(experiment_name='same', randomness=dict(seed=4), model_wrapper_cfg=dict())
    assert set(work.glob('*.py')) == {work / NAME, older}


class FailsInTraining(Hook):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.iteration:
            raise ValueError('channels')


def test_a_first_iteration_that_fails_records_nothing(start, work):
    """Or the folder has the config of the failed start under the name of the run."""
    for _ in range(2):
        with pytest.raises(ValueError, match='channels'):
            start(FailsInTraining(0))
        assert not list(work.glob('*.py')) and list(work.glob('*/*.log'))
    start()
    assert [path.name for path in work.glob('*.py')] == [NAME]
    before = (work / NAME).read_text()
    with pytest.raises(ValueError, match='channels'):
        start(FailsInTraining(0))
    assert (work / NAME).read_text() == before, 'of another start'


def test_a_later_iteration_that_fails_keeps_the_config(start, work):
    with pytest.raises(ValueError, match='channels'):
        start(FailsInTraining(1), train_cfg=dict(type='ResumableTrainLoop', max_iters=3))
    assert [path.name for path in work.glob('*.py')] == [NAME]


def test_never_the_name_of_another(tmp_path):
    cfg, stamp = Config(dict(a=1)), '20260101_000000'
    paths = []
    for value in (1, 2, 3, 2, 1):
        cfg.a = value
        paths.append(recorded_config.record_config(cfg, tmp_path, NAME, stamp).name)
    second, third = f'toy_{stamp}.py', f'toy_{stamp}_2.py'
    assert paths == [NAME, second, third, second, NAME]
    assert [Config.fromfile(tmp_path / name).a for name in (NAME, second, third)] == [1, 2, 3]
    (tmp_path / NAME).write_text('no python (')
    assert recorded_config.record_config(cfg, tmp_path, NAME, '2').name == 'toy_2.py'
    assert (tmp_path / NAME).read_text() == 'no python ('


def test_a_test_leaves_the_config_of_the_training(start, root, work, tmp_path):
    start()
    before = {path: path.read_text() for path in work.glob('*.py')}
    cfg = Config.fromfile(tmp_path / NAME)
    cfg.merge_from_dict(dict(load_from=str(save(work)), experiment_name='test'))
    runner = Runner.from_cfg(cfg)
    runner.test()
    assert {path: path.read_text() for path in work.glob('*.py')} == before
    assert Path(runner.log_dir, 'vis_data', 'config.py').is_file(), 'beside its own log'


# ---- the console


def test_images_that_are_not_drawn_are_said(root, tmp_path, capsys):
    model = toy_segmentor()
    model['data_preprocessor']['size_divisor'] = 4
    train_cfg = dict(type='ResumableTrainLoop', max_iters=1, val_interval=7)
    cfg = toy_config(root, tmp_path, model=model, train_cfg=train_cfg)
    cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=0)
    Runner.from_cfg(cfg).train()
    out = capsys.readouterr().out
    assert 'images: labeled 3 (4 a step on each rank), unlabeled 3 not used; val 3' in out


def test_console_is_short_and_says_what_runs(start, capsys):
    start(train_cfg=dict(type='ResumableTrainLoop', max_iters=7, val_interval=7))
    lines = capsys.readouterr().out.splitlines()
    begin = next(i for i, line in enumerate(lines) if 'Iter(train)' in line)
    assert begin < 12, lines[:begin]
    shown = '\n'.join(lines)
    for words in (
        'set-up of ',
        'CrossTeacherTraining, 4 networks (student0, student1, teacher0, teacher1), 4 classes',
        'images: labeled 3, unlabeled 3 (4 a step on each rank); val 3',
        'iterations: 0 to 7, validation every 7',
        'log, config and environment: ',
        'iteration 1 of 7: loss ',
        's an iteration: ',
    ):
        assert shown.count(words) == 1, words
    assert 'System environment' not in shown and 'until about 20' in shown


def test_errors_of_the_set_up_are_shown(start, capsys):
    class Warns(Hook):
        def before_train(self, runner) -> None:
            runner.logger.warning('take care')
            runner.logger.info('by the way')

    start(Warns())
    shown = capsys.readouterr().out
    assert 'take care' in shown and 'by the way' not in shown


def test_debug_shows_everything(start, capsys):
    start(log_level='DEBUG')
    assert 'System environment' in capsys.readouterr().out


def test_summary_of_a_resumed_run(start, work, capsys):
    start()
    capsys.readouterr()
    path = save(work)
    start(resume=True, load_from=str(path), train_cfg=dict(type='ResumableTrainLoop', max_iters=4))
    shown = capsys.readouterr().out
    assert 'iterations: 2 to 4' in shown and f'resumed from {path}' in shown


def test_console_without_noise(start, work, capsys):
    start()
    assert 'prefix is not set' not in capsys.readouterr().out
    (log,) = work.glob('*/*.log')
    assert 'prefix is not set' in log.read_text()


@pytest.mark.parametrize('pipeline', [True, False])
def test_a_test_on_the_validation_images_says_so(pipeline, root, tmp_path, capsys):
    cfg = toy_config(root, tmp_path / 'a')
    if pipeline:  # of test-time augmentation, say
        cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
        cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='RandomFlip', prob=0.0))
    Runner.from_cfg(cfg).test()
    assert 'images: test 3, the validation images' in capsys.readouterr().out
    cfg = toy_config(root, tmp_path / 'b')
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_dataloader.dataset.ann_file = 'other.txt'
    (root / 'other.txt').write_text('l0\n')
    Runner.from_cfg(cfg).test()
    shown = capsys.readouterr().out
    assert 'images: test ' in shown and 'the validation images' not in shown


# ---- the last line


def test_last_line_names_the_checkpoint(start, work, capsys):
    start()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f'saved {work / "iter_2.pth"}'), last
    (log,) = work.glob('*/*.log')
    assert f'saved {work / "iter_2.pth"}' in log.read_text()


def test_last_line_without_a_checkpoint(start, capsys):
    start(hooks=dict(checkpoint=None))
    assert ' saved ' not in capsys.readouterr().out


def test_last_line_compares_with_the_baseline(root, tmp_path, monkeypatch, capsys):
    """Where config and work folder are those of new_run."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for name in ('mine', 'supervised', 'mine'):
        path, work = tmp_path / 'my runs' / f'{name}.py', tmp_path / 'my runs' / name
        path.parent.mkdir(exist_ok=True)
        hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=2))
        toy_config(root, work, hooks=hooks).dump(path)
        Runner.from_cfg(Config.fromfile(path)).train()
        lines.append(capsys.readouterr().out.splitlines()[-1].partition('saved ')[2])
    assert lines[:2] == ['my runs/mine/iter_2.pth', 'my runs/supervised/iter_2.pth']
    saved, _, command = lines[2].partition('; next: ')
    assert saved == lines[0]
    words = shlex.split(command)
    assert words[0] == 'python' and Path(words[1]).is_file()
    assert words[2:] == ['my runs/supervised', 'my runs/mine', '--out', 'my runs/report.html']
