# Copyright (c) mmseg_ctt contributors.
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import yaml
from toy import toy_segmentor
from toy_data import CLASSES, CROP, toy_config, write_toy_data

from mmseg_ctt.engine.files import locked
from mmseg_ctt.engine.processes import ChildFailed
from mmseg_ctt.lab.experiments import evaluate, runs
from mmseg_ctt.lab.experiments.results import BEGIN, END, put_rows, read_rows

TESTS = Path(__file__).resolve().parents[1]
MEMBERS = ['student0', 'student1', 'teacher0', 'teacher1', 'ensemble']


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A matrix of two methods, one split and one seed on toy data; the working directory."""
    monkeypatch.chdir(tmp_path)
    root = write_toy_data(tmp_path / 'data')
    toy_config(root, tmp_path / 'unused').dump('semi_toy.py')
    plain = toy_segmentor()
    plain['data_preprocessor']['size'] = CROP
    toy_config(root, tmp_path / 'unused', model=plain).dump('plain_toy.py')
    write_matrix()
    return tmp_path


def write_matrix(**changes):
    content = dict(
        out='results.csv',
        work_dir='runs',
        baseline='supervised',
        seeds=[0],
        cfg_options={'default_hooks.checkpoint.interval': 1},
        methods=dict(
            supervised=dict(
                config='plain_{split}.py', cfg_options={'train_dataloader.sampler.ratio': [1, 0]}
            ),
            ctt=dict(config='semi_{split}.py'),
        ),
        splits=dict(toy=None),
    )
    Path('matrix.yaml').write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/run_matrix')


@pytest.fixture
def call(tool, load_tool, monkeypatch):
    """Call the tool; what it would run as processes runs in this one, and is returned."""
    train = load_tool('train').module
    started = []

    def run_here(command, log, slot, root, tick=lambda: None, keep_open=()):
        script = 'train' if command[1].endswith('train.py') else 'evaluate'
        started.append(f'{script} {log.parent.parent.parent.name}')
        arguments = command[2:] if script == 'train' else command[3:]
        if script == 'train':  # mmengine keeps hubs by name, and all runs share this process
            arguments = [*arguments, '--cfg-options', f'experiment_name={uuid.uuid4().hex}']
        log.write_text('a line\nthe last line\n')
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'argv', [script, *arguments])
            try:
                (train if script == 'train' else evaluate).main()
            except ValueError as error:
                raise ChildFailed('exit status 2') from error
        tick()

    def call(*arguments):
        started.clear()
        with monkeypatch.context() as patch:
            patch.setattr(runs, 'run_logged', run_here)
            return tool.exit_code('matrix.yaml', *arguments), list(started)

    return call


def results():
    return read_rows(Path('results.csv'))


def test_matrix_of_two_cells(here, call, capsys):
    """Runs once, writes one row a member, and again only what a change has made out of date."""
    assert call() == (0, ['train supervised', 'evaluate supervised', 'train ctt', 'evaluate ctt'])
    rows = results()
    assert [(row['method'], row['member']) for row in rows] == [
        ('supervised', 'model'),
        *(('ctt', member) for member in MEMBERS),
    ]
    assert list(rows[0]) == [
        'method',
        'split',
        'seed',
        'member',
        'eval_set',
        'miou',
        *(f'iou_{name}' for name in CLASSES),
        *END,
    ]
    for row in rows:
        assert (row['split'], row['seed'], row['eval_set']) == ('toy', '0', 'val')
        classes = [float(row[f'iou_{name}']) for name in CLASSES]
        assert float(row['miou']) == pytest.approx(sum(classes) / len(classes), abs=0.011)
        assert row['iterations'] == '2' and row['mmseg'] == '1.2.2' and float(row['seconds']) >= 0
        assert row['device'] == 'cpu' or row['device']
    assert len({row['config_hash'] for row in rows}) == 2
    assert len({row['split_checksum'] for row in rows}) == 1

    assert call() == (0, [])
    assert call('--eval-sets', 'val', 'test') == (0, ['evaluate supervised', 'evaluate ctt'])
    assert [row['eval_set'] for row in results()].count('test') == 6
    assert call(
        '--cfg-options', 'train_dataloader.num_workers=0', 'default_hooks.logger.interval=7'
    ) == (0, [])

    old = {row['config_hash'] for row in rows if row['method'] == 'ctt'}
    methods = yaml.safe_load(Path('matrix.yaml').read_text())['methods']
    methods['ctt']['cfg_options'] = {'model.consistency.confidence_threshold': 0.3}
    write_matrix(methods=methods)
    assert call() == (0, ['train ctt', 'evaluate ctt'])
    new = [row for row in results() if row['method'] == 'ctt' and row['eval_set'] == 'val']
    assert len(new) == len(MEMBERS) and not old & {row['config_hash'] for row in new}

    capsys.readouterr()
    assert call('--table') == (0, [])
    text = capsys.readouterr().out
    assert '| method | toy |' in text and f'{float(rows[0]["miou"]):.2f} (1)' in text
    assert call('--table', 'table.md', '--classes', 'toy', '--member', 'ensemble')[0] == 0
    assert 'class0' in Path('table.md').read_text()
    methods['ctt']['cfg_options'] = {'model.consistency.confidence_threshold': 0.4}
    write_matrix(methods=methods)
    capsys.readouterr()
    assert call('--table') == (0, [])
    assert 'with a config that has changed since: ctt.' in capsys.readouterr().out


def make_rows(*given, split='toy'):
    """Rows of results by hand: method, seed, mIoU and checksum of the lists."""
    rows = [
        dict.fromkeys([*BEGIN, *END], 'x')
        | dict(method=method, split=split, seed=seed, member='model', eval_set='val', miou=miou)
        | dict(split_checksum=lists)
        for method, seed, miou, lists in given
    ]
    put_rows(Path('results.csv'), rows)


@pytest.mark.parametrize(
    'only, line',
    [
        ((), '| supervised | 40.00 ± 14.14 (2) |'),
        (('--only', 'seed=0'), '| supervised | 30.00 (1) |'),
        (('--only', 'method=ctt'), None),
    ],
)
def test_tables_are_of_the_runs_of_the_matrix(here, call, capsys, only, line):
    """Not of seeds that were taken out of it, or that --only leaves out."""
    write_matrix(seeds=[0, 1])
    make_rows(*(('supervised', *row, 'a') for row in ((0, 30), (1, 50), (2, 70), (3, 90))))
    if line is None:
        assert call('--table', *only) == (2, [])
        assert 'results.csv has no rows yet of these runs' in capsys.readouterr().err
    else:
        assert call('--table', *only) == (0, [])
        assert line in capsys.readouterr().out.splitlines()


def test_a_part_of_a_table_keeps_its_shares_of_the_gap(here, call, capsys):
    """The ends of the gap count, although --only does not show them."""
    write_matrix(splits=dict(toy=None, full=dict(methods=['supervised'])), full_labels='full')
    (here / 'plain_full.py').write_text((here / 'plain_toy.py').read_text())
    make_rows(('supervised', 0, 30, 'a'), ('ctt', 0, 40, 'a'), split='toy')
    make_rows(('supervised', 0, 50, 'a'), split='full')
    lines = {}
    for only in ((), ('--only', 'method=ctt')):
        assert call('--table', *only) == (0, [])
        found = capsys.readouterr().out.splitlines()
        lines[only] = [line.split('|')[2].strip() for line in found if line.startswith('| ctt |')]
    assert lines[()] == lines['--only', 'method=ctt'] and '50' in lines[()][0]
    assert not any(line.startswith('| supervised') for line in found)


def test_runs_on_different_lists_are_named(here, call, capsys):
    words = 'Runs of toy were trained on different lists of images'
    for lists, named in (('a', False), ('b', True)):
        make_rows(('supervised', 0, 30, 'a'), ('ctt', 0, 40, lists))
        assert call('--table') == (0, [])
        assert (words in capsys.readouterr().out) is named
    Path('results.csv').unlink()  # its columns are others
    assert call()[0] == 0
    assert words not in capsys.readouterr().out
    rows = [dict(row, split_checksum='b') for row in results() if row['method'] == 'ctt']
    put_rows(Path('results.csv'), rows)
    assert call() == (0, [])
    assert words in capsys.readouterr().out
    assert call('--only', 'method=ctt') == (0, [])
    assert words not in capsys.readouterr().out  # of one run


def test_rows_of_a_run_that_is_trained_again(here, call):
    """Its folder is gone, and another set is asked for: no row is lost for good."""
    only = ('--only', 'method=supervised')
    assert call(*only)[0] == 0
    put_rows(Path('results.csv'), [dict(row, seconds=99) for row in results()])
    shutil.rmtree('runs')
    steps = ['train supervised', 'evaluate supervised', 'evaluate supervised']
    assert call(*only, '--eval-sets', 'val', 'test') == (0, steps)
    assert sorted(row['eval_set'] for row in results()) == ['test', 'val']


@pytest.mark.parametrize(
    'arguments, words',
    [
        (('--table',), 'results.csv has no rows yet'),
        (('--only', 'method=ctt,seed=1'), 'unknown'),
        (('--gpus', '0,'), 'an entry is empty'),
        (('--jobs', '0', '--dry-run'), '--jobs must be positive'),
        (('--threads', '0'), '--threads must be positive'),
        (('--merge', 'absent.csv'), 'absent.csv does not exist'),
        (('--cfg-options', 'load_from={baseline}/a.pth'), '--cfg-options has {baseline}'),
    ],
)
def test_wrong_arguments(here, call, capsys, arguments, words):
    assert call(*arguments) == (2, [])
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith('error: ') and words in error


def test_failed_cell_is_reported_and_the_others_go_on(here, call, capsys):
    methods = yaml.safe_load(Path('matrix.yaml').read_text())['methods']
    methods['supervised']['cfg_options'] = {'train_dataloader.batch_size': 3}
    write_matrix(methods=methods)
    status, started = call()
    assert status == 1 and started == ['train supervised', 'train ctt', 'evaluate ctt']
    printed = capsys.readouterr().out
    assert 'supervised toy seed 0: FAILED, exit status 2' in printed
    assert 'the last line' in printed and 'ctt toy seed 0: done' in printed
    assert {row['method'] for row in results()} == {'ctt'}
    methods['supervised']['cfg_options'] = {'train_dataloader.sampler.ratio': [1, 0]}
    write_matrix(methods=methods)
    assert call() == (0, ['train supervised', 'evaluate supervised'])


def test_a_run_with_its_baseline_in_an_option(here, call, capsys):
    """It comes behind the baseline, and waits for it; a changed baseline makes it out of date."""
    guard = dict(type='DoNoHarmHook', baseline='{baseline}', patience=1)  # of two validations
    options = {'default_hooks.do_no_harm': guard, 'train_cfg.val_interval': 1}
    methods = dict(
        ctt=dict(config='semi_{split}.py', cfg_options=options),
        supervised=dict(
            config='plain_{split}.py',
            cfg_options={
                'train_dataloader.sampler.ratio': [1, 0],
                'train_cfg.val_interval': 1,
                'visualizer.vis_backends': [dict(type='LocalVisBackend')],
            },
        ),
    )
    write_matrix(methods=methods)
    assert call('--dry-run') == (0, [])
    assert 'waiting for the rows of supervised toy seed 0' in capsys.readouterr().out
    assert call('--only', 'method=ctt') == (1, [])
    assert 'ctt toy seed 0: waiting for the rows of' in capsys.readouterr().out
    assert call('--sbatch', 'long') == (0, [])  # the job would find nothing to compare with
    remark, job = sorted(capsys.readouterr().out.splitlines())
    assert remark.startswith('# ctt toy seed 0: left out, waiting for the rows of supervised toy')
    assert job.startswith('sbatch ') and 'method=supervised,' in job
    assert call() == (0, ['train supervised', 'evaluate supervised', 'train ctt', 'evaluate ctt'])
    logs = ''.join(log.read_text() for log in Path('runs/ctt').rglob('2*/*.log'))
    (folder,) = Path('runs/supervised/toy').resolve().iterdir()
    assert f'do_no_harm: baseline {folder}, compared by mIoU' in logs
    assert call() == (0, [])
    methods['supervised']['cfg_options']['train_cfg.max_iters'] = 3
    write_matrix(methods=methods)
    assert call('--only', 'method=supervised')[0] == 0
    assert call() == (0, ['train ctt', 'evaluate ctt'])
    write_matrix(methods=methods, baseline=None)
    assert call()[0] == 2
    assert 'has the option {baseline}' in capsys.readouterr().err


def test_missing_list_fails_before_training(here, call, capsys):
    (here / 'data' / 'splits' / 'toy' / 'unlabeled.txt').unlink()
    assert call('--only', 'method=ctt') == (1, [])
    assert 'unlabeled.txt' in capsys.readouterr().out


def test_dry_run_and_sbatch_lines(here, call, capsys):
    assert call('--dry-run') == (0, []) and not Path('runs').exists()
    assert capsys.readouterr().out.count(': new (') == 2
    assert call('--only', 'method=supervised')[0] == 0
    capsys.readouterr()
    assert call('--dry-run') == (0, [])
    assert 'supervised toy seed 0: done' in capsys.readouterr().out
    assert call('--sbatch', 'long', '--threads', 3, '--eval-sets', 'val') == (0, [])
    (line,) = capsys.readouterr().out.splitlines()  # what is done is not submitted
    words = shlex.split(line)
    assert words[0] == 'sbatch' and '--partition=long' in words and '--cpus-per-task=3' in words
    assert call('--sbatch', 'long') == (0, [])
    line = capsys.readouterr().out
    assert '--cpus-per-task=5' in line and '--threads 5' in line
    (inner,) = (shlex.split(word[len('--wrap=') :]) for word in words if word.startswith('--wrap='))
    assert inner == [
        'python',
        'tools/analysis_tools/run_matrix.py',
        'matrix.yaml',
        '--only',
        'method=ctt,split=toy,seed=0',
        '--threads',
        '3',
        '--eval-sets',
        'val',
    ]


def test_rows_measured_elsewhere(here, call):
    assert call('--only', 'method=supervised')[0] == 0
    Path('results.csv').rename('elsewhere.csv')
    assert call('--merge', 'elsewhere.csv') == (0, [])
    assert results() == read_rows(Path('elsewhere.csv'))
    assert call('--only', 'method=supervised') == (0, [])


def alive(folder):
    """Processes at work in a folder."""
    found = subprocess.run(['pgrep', '-f', str(folder)], capture_output=True, text=True)
    return found.stdout.split()


def unlocked(folder):
    """A killed process lets go of its files a little after it has lost its command line."""
    with locked(folder / '.lock', wait=False) as lock:
        return lock is not None


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


SLOW_HOOK = """
import os, time
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module(force=True)
class SlowHook(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if os.environ.get('SLOW') and runner.iter > 2:
            time.sleep(60)
"""


@pytest.fixture
def slow(here, monkeypatch):
    """The two cells, where ``SLOW`` in the environment makes a training stop at its fourth step."""
    (here / 'slow_hook.py').write_text(SLOW_HOOK)
    monkeypatch.syspath_prepend(str(here))
    cfg = toy_config(here / 'data', here / 'unused')
    cfg.custom_imports.imports.append('slow_hook')
    cfg.custom_hooks = [dict(type='SlowHook')]
    cfg.dump('semi_toy.py')
    write_matrix(cfg_options={'default_hooks.checkpoint.interval': 2, 'train_cfg.max_iters': 6})
    return here


def test_killed_and_resumed(slow, tool, call, capsys):
    """Real processes: the run goes on from its checkpoint, and nobody trains it twice."""
    paths = os.pathsep.join([str(slow), str(TESTS), os.environ.get('PYTHONPATH', '')])
    process = subprocess.Popen(
        [sys.executable, str(tool.path), 'matrix.yaml', '--only', 'method=ctt', '--threads', '1'],
        env={**os.environ, 'PYTHONPATH': paths, 'SLOW': '1'},
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: any(Path('runs').glob('*/*/*/last_checkpoint')) or process.poll() is not None)
    process.kill()
    process.wait()
    (folder,) = Path('runs').resolve().glob('*/*/*')
    assert alive(folder)  # the training does not know that nobody waits for it
    assert call('--only', 'method=ctt') == (1, [])
    assert 'ctt toy seed 0: running' in capsys.readouterr().out
    for child in alive(folder):
        os.kill(int(child), signal.SIGKILL)
    wait_for(lambda: not alive(folder) and unlocked(folder))
    assert not Path('results.csv').exists()
    assert call('--dry-run')[0] == 0
    assert 'ctt toy seed 0: interrupted after iter_2' in capsys.readouterr().out
    assert call() == (0, ['train supervised', 'evaluate supervised', 'train ctt', 'evaluate ctt'])
    assert [row['iterations'] for row in results()] == ['6'] * 6
    logs = ''.join(path.read_text() for path in folder.glob('2*/*.log'))
    assert 'resumed epoch: 0, iter: 2' in logs
