# Copyright (c) mmseg_ctt contributors.
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import mmseg_ctt

REPO = Path(__file__).resolve().parents[1]
SOURCES = (
    'LICENSE',
    'MANIFEST.in',
    'README.md',
    'configs',
    'mmseg_ctt',
    'model-index.yml',
    'pyproject.toml',
    'requirements',
    'requirements.txt',
    'setup.py',
    'tools',
)
CONFIG = 'configs/ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py'


@pytest.fixture(scope='module')
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in, so that the repository stays clean."""
    copy = tmp_path_factory.mktemp('sources')
    ignore = shutil.ignore_patterns('__pycache__', '.mim')
    for name in SOURCES:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, copy / name, ignore=ignore)
        elif (REPO / name).exists():
            shutil.copy(REPO / name, copy / name)
    return copy


def install(sources: Path, *arguments: str) -> None:
    subprocess.run(
        [
            sys.executable,
            '-m',
            'pip',
            'install',
            '--quiet',
            '--no-deps',
            '--no-index',
            '--no-build-isolation',
            *arguments,
            str(sources),
        ],
        check=True,
    )


def test_installed_package_holds_configs_and_tools(sources: Path, tmp_path: Path):
    install(sources, '--target', str(tmp_path))
    mim = tmp_path / 'mmseg_ctt' / '.mim'
    for name in (CONFIG, 'tools/train.py', 'tools/dist_train.sh', 'model-index.yml'):
        assert (mim / name).is_file() and not (mim / name).is_symlink()
    assert (tmp_path / 'mmseg_ctt' / 'methods' / '__init__.py').is_file()
    assert (tmp_path / f'mmseg_ctt-{mmseg_ctt.__version__}.dist-info').is_dir()
    assert not (sources / 'mmseg_ctt' / '.mim').exists()


def test_source_archive_can_be_installed(sources: Path, tmp_path: Path):
    subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'sdist', '--dist-dir', str(tmp_path)],
        cwd=sources,
        check=True,
    )
    (archive,) = tmp_path.glob('*.tar.gz')
    with tarfile.open(archive) as file:
        names = {name.partition('/')[2] for name in file.getnames()}
    assert {
        CONFIG,
        'tools/train.py',
        'tools/setup_env.sh',
        'requirements/constraints.txt',
        'LICENSE',
        'model-index.yml',
    } <= names
    install(archive, '--target', str(tmp_path / 'target'))
    assert (tmp_path / 'target' / 'mmseg_ctt' / '.mim' / CONFIG).is_file()


def test_no_mmcv_is_forced_on_the_user():
    names = (REPO / 'requirements.txt').read_text().splitlines()
    assert not [name for name in names if name.startswith('mmcv')]


@pytest.mark.slow
@pytest.mark.parametrize('extras', [(), ('tiff',)], ids=['no_extra', 'tiff'])
def test_wheel_in_a_new_environment(tmp_path: Path, extras: tuple):
    """All modules, the report of the environment and a training by the installed tools."""
    script = ['bash', str(REPO / 'tools' / 'misc' / 'check_wheel.sh'), *extras]
    environment = dict(os.environ, FOLDER=str(tmp_path), PYTHON=sys.executable)
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f'mmseg_ctt: {mmseg_ctt.__version__}\n' in done.stdout
    assert '[wheel] done' in done.stderr and (tmp_path / 'run/work/iter_2.pth').is_file()
