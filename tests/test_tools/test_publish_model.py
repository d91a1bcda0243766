# Copyright (c) mmseg_ctt contributors.
import hashlib
import io
import os
import re
from pathlib import Path

import pytest
import torch

STATE = dict(a=torch.arange(4.0))


@pytest.fixture
def tool(load_tool):
    return load_tool('model_converters/publish_model')


def checkpoint(path: Path, **meta) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        dict(
            state_dict=STATE,
            optimizer=dict(state=torch.zeros(999)),
            message_hub={},
            meta=dict(iter=3, hook_msgs=dict(best='/home/me/x.pth'), **meta),
        ),
        path,
    )
    return path


def published(tool, path: Path, out: Path, *options) -> Path:
    before = set(out.iterdir()) if out.exists() else set()
    tool.call(path, out, *options)
    (made,) = set(out.iterdir()) - before
    return made


@pytest.mark.parametrize(
    'name, meta, expected',
    [
        (
            'work/ctt_x/iter_500.pth',
            dict(experiment_name='ctt_voc_20240101_000000', time='20240102_030405'),
            'ctt_voc_20240102_030405',
        ),
        (
            'work/ctt_x/best_mIoU_iter_500.pth',
            dict(time='20240102_030405'),
            'ctt_x_20240102_030405',
        ),
        (
            'out/ctt_voc_teacher0.pth',
            dict(experiment_name='other_20240101_000000', time='20240102_030405'),
            'ctt_voc_teacher0_20240102_030405',
        ),
        ('out/path_of_pth.pth', {}, r'path_of_pth_\d{8}_\d{6}'),
    ],
)
def test_name_and_hash_of_the_written_file(tool, tmp_path, name, meta, expected):
    source = checkpoint(tmp_path / name, **meta)
    made = published(tool, source, tmp_path / 'zoo')
    match = re.fullmatch(expected + r'-([0-9a-f]{8})\.pth', made.name)
    assert match, made.name
    assert hashlib.sha256(made.read_bytes()).hexdigest()[:8] == match[1]
    loaded = torch.load(made)
    assert loaded.keys() == {'meta', 'state_dict'} and torch.equal(
        loaded['state_dict']['a'], STATE['a']
    )
    assert 'hook_msgs' not in loaded['meta'] and loaded['meta']['iter'] == 3
    assert made.stat().st_size < source.stat().st_size - 2000


def test_name_on_request_and_again(tool, tmp_path, capsys):
    source = checkpoint(tmp_path / 'iter_1.pth', time='20240102_030405')
    made = published(tool, source, tmp_path / 'zoo', '--name', 'mine')
    assert made.name.startswith('mine_20240102_030405-')
    assert capsys.readouterr().out.strip().endswith(str(made))
    tool.call(source, tmp_path / 'zoo', '--name', 'mine')
    assert os.listdir(tmp_path / 'zoo') == [made.name], 'equal input, equal file'


def test_errors(tool, tmp_path):
    source = checkpoint(tmp_path / 'iter_1.pth')
    with pytest.raises(ValueError, match='plain name'):
        published(tool, source, tmp_path / 'zoo', '--name', '../x')
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        published(tool, tmp_path / 'absent.pth', tmp_path / 'zoo')


def test_interrupted_writing_leaves_no_model(tool, tmp_path, monkeypatch):
    source = checkpoint(tmp_path / 'iter_1.pth')

    class FullDisk(io.FileIO):
        def write(self, data):
            super().write(data[:10])
            raise OSError(28, 'no space left on device')

    def open_(path, mode='r', *args, **kwargs):
        new = 'w' in mode and str(tmp_path / 'zoo') in str(path)
        return FullDisk(path, mode) if new else io.open(path, mode, *args, **kwargs)

    monkeypatch.setattr('builtins.open', open_)
    with pytest.raises(OSError, match='no space left'):
        published(tool, source, tmp_path / 'zoo')
    assert os.listdir(tmp_path / 'zoo') == []


def test_folders_in_the_config_are_left_out(tool, tmp_path):
    text = """a = dict(data_root='/home/me/mine', x="C:\\\\data\\\\own", img='images/a', url='https://a/b')"""
    made = published(tool, checkpoint(tmp_path / 'iter_1.pth', cfg=text), tmp_path / 'zoo')
    assert torch.load(made)['meta']['cfg'] == (
        """a = dict(data_root='mine', x="own", img='images/a', url='https://a/b')"""
    )
