# Copyright (c) mmseg_ctt contributors.
"""What ``python -m mmseg_ctt.collect_env`` prints for a report of a problem."""

import subprocess

import mmengine
import pytest
import torch

import mmseg_ctt
from mmseg_ctt import collect_env as module


@pytest.fixture(scope='module')
def found():
    return module.collect_env()


def test_versions_and_devices(found, capsys):
    assert found['mmseg_ctt'].startswith(mmseg_ctt.__version__)
    assert found['PyTorch'] == torch.__version__ and found['mmengine'] == mmengine.__version__
    assert found['CUDA available'] == str(torch.cuda.is_available())
    assert {'OS', 'Python', 'mmcv', 'mmsegmentation', 'OpenCV', 'numpy'} <= set(found)
    assert all(isinstance(value, str) and '\n' not in value for value in found.values())


def test_every_line_has_a_name(monkeypatch, capsys):
    monkeypatch.setattr(module, 'collect_env', lambda: dict(a='1', b='2: 3'))
    module.main()
    assert capsys.readouterr().out == 'a: 1\nb: 2: 3\n'


def test_huge_pages(monkeypatch, tmp_path):
    monkeypatch.setattr(module, 'HUGE_PAGES', tmp_path / 'enabled')
    monkeypatch.delenv('THP_MEM_ALLOC_ENABLE', raising=False)
    assert module._huge_pages().endswith('the tools do without a GPU; kernel: unknown')
    (tmp_path / 'enabled').write_text('always [madvise] never\n')
    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', '1')
    assert module._huge_pages() == 'THP_MEM_ALLOC_ENABLE=1; kernel: madvise'


def test_kind_of_mmcv(monkeypatch):
    installed = {'mmcv-lite': '2.1.0'}
    monkeypatch.setattr(module, '_version', installed.get)
    assert module._mmcv() == '2.1.0 (lite: mmcv-lite)'
    installed['mmcv'] = '2.0.1'
    assert module._mmcv().startswith('2.0.1 (full: mmcv) and 2.1.0 (lite: mmcv-lite): they over')
    installed.clear()
    assert module._mmcv() == 'not installed'


def test_optional_packages_are_those_of_the_extras(monkeypatch):
    lines = [
        'torch>=2.0',
        'mmcv-lite<2.2.0,>=2.0.0; extra == "lite"',
        "timm; extra == 'timm'",
        'pytest; extra == "tests"',
        'Onnx ; extra == "onnx"',
    ]
    monkeypatch.setattr(module, 'requires', lambda name: lines)
    assert module.optional_packages() == ['Onnx', 'timm']


def test_commit_of_a_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '__file__', str(tmp_path / 'mmseg_ctt' / 'collect_env.py'))
    assert module._commit() == ''  # an installed package

    def git(*arguments):
        names = ['-c', 'user.name=a', '-c', 'user.email=a@b']
        subprocess.run(['git', '-C', str(tmp_path), *names, *arguments], check=True)

    (tmp_path / 'file').write_text('a')
    git('init', '-q')
    git('add', 'file')
    git('commit', '-q', '-m', 'first')
    clean = module._commit()
    assert clean.startswith(', commit ') and len(clean) > 15
    (tmp_path / 'file').write_text('b')
    assert module._commit() == f'{clean} with changes'
