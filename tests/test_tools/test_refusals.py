# Copyright (c) mmseg_ctt contributors.
"""Arguments that a tool would not read, or that make no sense, are refused in one line."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest
from scripts import TOOLS
from toy_data import toy_config

TEST, TRAIN = 'test toy.py a.pth', 'train toy.py'
STATISTICS = 'analysis_tools/label_statistics'
RESUME = 'misc/benchmark_resume'
MASKS = 'dataset_converters/make_split masks --img-dir a --ann-dir b --out o'
PLANES = 'volumes/fuse_planes x=a y=b --out o --fusion'
BENCHMARKS = 'analysis_tools/benchmark_all --tables scale'
REFUSED = [
    (f'{TRAIN} --work-dir a --cfg-options work_dir=b', 'work_dir would be unused, as --work-dir'),
    (f'{TRAIN} --cfg-options launcher=pytorch', 'launcher would be unused, as --launcher sets it'),
    (f'{TRAIN} --resume a.pth --cfg-options load_from=b.pth', 'load_from would be unused'),
    (f'{TRAIN} --resume --cfg-options resume=False', 'resume would be unused, as --resume sets'),
    (f'{TRAIN} --resume a.pth --resume-else b.pth', '--resume-else would be unused, as it goes'),
    (f'{TRAIN} --resume-else b.pth', 'would be unused, as it goes with --resume without'),
    # a requeued job whose first start had resume=True: no refusal, and the next check
    (f'{TRAIN} --resume --resume-else b.pth --cfg-options resume=True', 'b.pth does not exist'),
    (f'{TEST} --work-dir a --cfg-options work_dir=b', 'work_dir would be unused, as --work-dir'),
    (f'{TEST} --cfg-options load_from=b.pth', 'load_from would be unused, as CHECKPOINT sets it'),
    (f'{TEST} --cfg-options resume=True', 'resume would be unused, as CHECKPOINT sets it'),
    (f'{TEST} --show-dir a --cfg-options visualizer.save_dir=b', 'save_dir would be unused'),
    (f'{TEST} --out a --cfg-options test_evaluator.output_dir=b', 'output_dir would be unused'),
    (f'{TEST} --out a --cfg-options test_evaluator.1.output_dir=b', '1.output_dir would be unused'),
    (f'{TEST} --overwrite', '--overwrite is for --out and --show-dir: name a folder, or remove it'),
    (f'{TEST} --show --overwrite', '--overwrite is for --out and --show-dir'),
    (f'{TEST} --show --show-dir a', 'give one of them'),
    (f'{TEST} --wait-time 1', '--wait-time would be unused, as no window is shown without --show'),
    (f'{TEST} --out data', 'data is not empty: give another folder, or --overwrite'),
    (f'{TEST} --show-dir data', 'data is not empty: give another folder, or --overwrite'),
    (f'{TEST} --out toy.py', 'is a file: give another folder'),
    ('misc/check_setup toy.py --work-dir a --cfg-options work_dir=b', 'work_dir would be unused'),
    ('self_train toy.py --work-dir a --cfg-options work_dir=b', 'work_dir would be unused'),
    (
        'distill toy.py a.pth --student toy.py --work-dir a --cfg-options work_dir=b',
        'work_dir would be unused, as --work-dir sets it',
    ),
    (
        'self_train toy.py --cfg-options launcher=slurm',
        'launcher would be unused, as each training',
    ),
    ('self_train toy.py --cfg-options resume=False', 'resume would be unused, as each training'),
    (
        'distill toy.py a.pth --student toy.py --cfg-options launcher=slurm',
        'launcher would be unused, as each training',
    ),
    (f'{STATISTICS} data --set val', '--set would be unused, as a folder has no sets'),
    (f'{STATISTICS} toy.py --suffix _x.png', '--suffix would be unused, as a config names its'),
    (f'{STATISTICS} data --images --suffix _x.png', '--suffix would be unused, as --images reads'),
    (f'{STATISTICS} data --images --num-classes 9', '--num-classes would be unused'),
    (f'{STATISTICS} data --images --ignore-index 7', '--ignore-index would be unused'),
    (f'{STATISTICS} data --images --reduce-zero-label', '--reduce-zero-label would be unused'),
    (f'{STATISTICS} data --num-classes 0', 'must be positive, got 0'),
    (f'{MASKS} --seed 7', '--seed would be unused, as masks draws no images without --val'),
    (f'{MASKS} --num-classes 0', 'must be positive, got 0'),
    ('analysis_tools/report w --no-model --max-images 3', '--max-images would be unused'),
    ('analysis_tools/report w --no-model --worst 2', '--worst would be unused'),
    ('analysis_tools/report w --no-model --suggest 4', '--suggest would be unused'),
    ('analysis_tools/report w --no-model --label-errors 9', '--label-errors would be unused'),
    ('analysis_tools/report w --no-model --no-tsne', '--no-tsne would be unused, as --no-model'),
    (f'{BENCHMARKS} --methods cps', '--methods would be unused, as --tables leaves the table'),
    (f'{BENCHMARKS} --unimatch-v2 data', '--unimatch-v2 would be unused'),
    (
        'model_converters/clip_text_embeddings a.pth o.npz --texts a b --cfg-options k=1',
        '--cfg-options would be unused, as --texts needs no config',
    ),
    (f'{RESUME} --sampler --iters 5', '--iters would be unused, as --sampler reads no config'),
    (f'{RESUME} --sampler --stock 3', '--stock would be unused'),
    (f'{RESUME} --sampler --cfg-options a=1', '--cfg-options would be unused'),
    (f'{RESUME} toy.py --iters -5', 'must be positive, got -5'),
    (f'{RESUME} toy.py --work-dir x', 'unrecognized arguments: --work-dir x'),
    (f'{RESUME} toy.py --cfg-options work_dir=x', 'work_dir would be unused, as this tool sets'),
    ('volumes/evaluate_volumes p l --suffix _x.nii.gz', '--suffix would be unused, as no --list'),
    ('volumes/evaluate_volumes p l --overwrite', '--overwrite is for --json and --csv: name'),
    (f'{PLANES} intersection --tie x', '--fusion intersection does not use --tie'),
    (f'{PLANES} soft --tie x', '--fusion soft does not use --tie'),
    ('consensus/hidden_blocks i a b --limit -2', 'must be positive, got -2'),
    ('consensus/hidden_blocks i a b --limit 0', 'must be positive, got 0'),
    ('consensus/fuse_annotations i a b --out o --pictures -1', 'must not be negative, got -1'),
    ('analysis_tools/compare_runs a=toy.py:a.pth --out o --images -3', 'must not be negative'),
    (
        'model_converters/export_segmentor toy.py a.pth o --name ../escaped',
        'name (--name) ../escaped must be a plain name',
    ),
    ('model_converters/publish_model a.pth o --name ../escaped', 'must be a plain name'),
]


@pytest.fixture
def folder(tmp_path: Path, root: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    toy_config(root, tmp_path / 'work').dump(tmp_path / 'toy.py')
    (tmp_path / 'a.pth').touch()
    return tmp_path


@pytest.mark.parametrize('command, words', REFUSED)
def test_refused(folder, load_tool, capsys, command, words):
    before = sorted(folder.rglob('*'))
    tool, *arguments = command.split()
    assert load_tool(tool).exit_code(*arguments) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert sorted(folder.rglob('*')) == before


def test_outputs_are_replaced_when_asked_for(folder, load_tool, monkeypatch):
    """A folder that is not there, an empty one, and any with ``--overwrite``."""
    tool = load_tool('test')
    started: List[str] = []
    monkeypatch.setattr(tool.module, 'load_config', lambda args: started.append(args.out) or {})
    monkeypatch.setattr('mmseg_ctt.engine.option_checks.check_evaluated', lambda cfg: 1 / 0)
    (folder / 'empty').mkdir()
    for more in (['new'], ['empty'], ['data', '--overwrite']):
        with pytest.raises(ZeroDivisionError):
            tool.call('toy.py', 'a.pth', '--out', *more)
    assert started == ['new', 'empty', 'data']


@pytest.mark.parametrize('name, code', [('quickstart', 2), ('setup_env', 1)])
def test_shell_scripts_without_arguments(tmp_path, name, code):
    """Copies, which would make their environment in a folder of the test."""
    (tmp_path / 'tools').mkdir()
    script = shutil.copy(TOOLS / f'{name}.sh', tmp_path / 'tools')
    done = subprocess.run(['bash', script, '--quick'], capture_output=True, text=True)
    assert done.returncode == code
    assert f'{name}.sh takes no arguments, got --quick' in done.stderr
    assert [path.name for path in tmp_path.rglob('*.*')] == [f'{name}.sh']


def test_folder_of_the_wheel(tmp_path):
    """One of the user stays; one of an earlier call, here without a Python, is used again."""
    script = TOOLS / 'misc' / 'check_wheel.sh'

    def check(folder: Path) -> subprocess.CompletedProcess:
        environment = {**os.environ, 'FOLDER': str(folder), 'PYTHON': 'false'}
        return subprocess.run(['bash', script], env=environment, capture_output=True, text=True)

    mine = tmp_path / 'mine'
    (mine / 'run').mkdir(parents=True)
    (mine / 'log.txt').write_text('mine')
    done = check(mine)
    assert done.returncode == 2 and 'is not empty and not of an earlier call' in done.stderr
    assert (mine / 'log.txt').read_text() == 'mine'
    assert sorted(path.name for path in mine.iterdir()) == ['log.txt', 'run']
    for _ in range(2):
        assert 'failed: making the environment' in check(tmp_path / 'new').stderr
