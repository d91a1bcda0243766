# Copyright (c) mmseg_ctt contributors.
"""An exported member in the scripts that mmseg ships, without this package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from toy_data import HEIGHT, LABELED, SPLIT, WIDTH
from toy_run import make_run

from mmseg_ctt.deploy.export import export_member, read_checkpoint, write_export

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ('torch', 'mmengine', 'mmsegmentation', 'mmcv-lite', 'ftfy', 'regex', 'setuptools<81')
RUNTIME = ('env_cfg', 'log_processor', 'tta_model', 'visualizer')
UNREACHABLE = re.compile('NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError')


@pytest.fixture
def run(tmp_path):
    """With the runtime of an inherited ``mmseg_ctt::`` config, as new_run writes them."""
    path = tmp_path / 'inherits.py'
    path.write_text(
        "_base_ = ['mmseg_ctt::supervised/supervised_deeplabv3plus_mobilenetv2_folder.py']"
    )
    inherited = Config.fromfile(path)
    assert '_scope_' in inherited.log_processor
    return make_run(tmp_path, **{key: inherited[key] for key in RUNTIME})


def our_scores(run, work: Path, evaluate, *options) -> dict:
    """What this package's own tools/test.py says."""
    evaluate(run.config, run.checkpoint, '--work-dir', work, *options)
    (file,) = work.glob('*/*.json')
    return json.loads(file.read_text().splitlines()[-1])


@pytest.fixture
def evaluate(load_tool):
    return load_tool('test').call


def stock_results(python: str, tmp_path: Path, config: Path, weights: Path, block: str) -> dict:
    """Run mmseg's scripts by ``python``, in which this package must not be importable."""
    site = tmp_path / 'site'
    site.mkdir()
    shutil.copy(HERE / 'stock_site.py', site / 'sitecustomize.py')
    list_file = tmp_path / 'data' / SPLIT / 'long.txt'
    list_file.write_text(''.join(f'{stem}\n' for stem in LABELED * 67))
    work = tmp_path / 'stock'
    work.mkdir()
    result = subprocess.run(
        [
            python,
            str(HERE / 'stock_tools.py'),
            str(config),
            str(weights),
            str(work),
            str(tmp_path / 'data' / 'img' / f'{LABELED[0]}.jpg'),
            f'{SPLIT}/long.txt',
            str(HEIGHT),
            str(WIDTH),
        ],
        cwd=work,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(site), 'STOCK_BLOCK': block, 'OMP_NUM_THREADS': '1'},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads((work / 'stock.json').read_text())


def labels_of(folder: Path) -> np.ndarray:
    return np.stack([np.array(Image.open(folder / f'{stem}.png')) for stem in LABELED])


def check_round_trip(run, tmp_path, evaluate, python: str, block: str) -> dict:
    member = 'student1'  # not the one that predicts by default
    scores = our_scores(run, tmp_path / 'ours', evaluate, '--out', tmp_path / 'labels')
    flipped = our_scores(
        run,
        tmp_path / 'ours_tta',
        evaluate,
        '--tta',
        '--cfg-options',
        f'model.test_cfg.predict_on={member}',
        'experiment_name=our_tta',
    )
    export = export_member(run.cfg, read_checkpoint(run.checkpoint), member)
    assert not export.notes
    config, weights = write_export(export, tmp_path / 'out', 'toy')
    stock = stock_results(python, tmp_path, config, weights, block)

    assert stock['mIoU'] == scores[f'{member}/mIoU'] > 0
    others = [scores[f'{name}/mIoU'] for name in ('student0', 'teacher0', 'teacher1')]
    assert stock['mIoU'] not in others, 'the test could not tell the members apart'
    assert stock['tta'] == flipped['mIoU'] != stock['mIoU']
    assert stock['fps'] > 0
    ours = labels_of(tmp_path / 'labels' / member)
    assert len(np.unique(ours)) > 1
    np.testing.assert_array_equal(labels_of(tmp_path / 'stock' / 'labels'), ours)
    for name in ('inferencer', 'inference_model'):
        np.testing.assert_array_equal(np.load(tmp_path / 'stock' / f'{name}.npy'), ours[0])
    return stock


def test_stock_mmseg_gives_the_same_result(run, tmp_path, evaluate):
    """The present environment, with this package made impossible to import."""
    check_round_trip(run, tmp_path, evaluate, sys.executable, 'mmseg_ctt')


@pytest.mark.slow
def test_environment_without_this_package(run, tmp_path, evaluate):
    """An environment of its own, made of the tested versions."""
    venv = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', str(venv)], check=True)
    python = str(venv / 'bin' / 'python')
    result = subprocess.run(
        [
            python,
            '-m',
            'pip',
            'install',
            '-q',
            '-c',
            str(ROOT / 'requirements/constraints.txt'),
            *PACKAGES,
        ],
        capture_output=True,
        text=True,
    )
    if result.returncode and UNREACHABLE.search(result.stderr):
        pytest.skip(
            'the package index cannot be reached, and the environment is made of it; '
            'test_stock_mmseg_gives_the_same_result does the same in the present one'
        )
    assert result.returncode == 0, result.stderr[-2000:]  # a wrong pin is a failure
    stock = check_round_trip(run, tmp_path, evaluate, python, '')
    assert Path(stock['prefix']) == venv
