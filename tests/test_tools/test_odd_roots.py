# Copyright (c) mmseg_ctt contributors.
"""Data in folders with unusual names."""

import numpy as np
import pytest
from leaves import CONFIGS
from PIL import Image
from toy_data import toy_config, write_toy_data

FOLDER = CONFIGS / 'supervised' / 'supervised_deeplabv3plus_mobilenetv2_folder.py'


@pytest.mark.parametrize('name', ["it's", "Bob's and Ann's", 'back\\dslash', 'line\nbreak'])
def test_root_that_no_config_can_take_is_named(load_tool, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path / name))
    assert load_tool('train').exit_code(FOLDER, '--work-dir', tmp_path / 'work') == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith('error: FOLDER_ROOT=') and 'set data_root' in lines[-1]
    assert not (tmp_path / 'work').exists()


def test_syntax_error_is_not_blamed_on_the_environment(load_tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path))
    monkeypatch.setenv('PROMPT', "it's")
    (tmp_path / 'c.py').write_text('model = dict(\n')
    assert load_tool('train').exit_code(tmp_path / 'c.py') == 2
    assert 'is no Python' in capsys.readouterr().err


@pytest.mark.parametrize('name', ["it's", 'two words', 'a"b', 'ünïcode {x} #1%'])
def test_data_root_of_a_config_may_have_any_name(load_tool, tmp_path, capsys, name):
    root = write_toy_data(tmp_path / name)
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
    toy_config(root, tmp_path / 'work', hooks=hooks).dump(tmp_path / 'c.py')
    assert load_tool('train').exit_code(tmp_path / 'c.py') == 0
    assert load_tool('test').exit_code(tmp_path / 'c.py', tmp_path / 'work/iter_2.pth') == 0
    split = load_tool('dataset_converters/make_split').exit_code
    folders = ('--img-dir', root / 'img', '--ann-dir', root / 'ann')
    assert split('masks', *folders, '--val', 1, '--out', root / 'splits/mine') == 0
    assert load_tool('analysis_tools/label_statistics').exit_code(root / 'ann') == 0


def test_usable_link(load_tool, tmp_path, monkeypatch, capsys):
    """The remedy that the message names."""
    root = tmp_path / "it's"
    for folder in ('images', 'masks'):
        (root / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(root / folder / 'a.png')
    (root / 'meta.json').write_text('{"classes": ["x", "y"]}')
    (root / 'splits/mine').mkdir(parents=True)
    (root / 'splits/mine/val.txt').write_text('a\n')
    (tmp_path / 'link').symlink_to(root)
    monkeypatch.setenv('FOLDER_ROOT', str(tmp_path / 'link'))
    assert load_tool('analysis_tools/label_statistics').exit_code(FOLDER, '--set', 'val') == 0
    assert '1 label maps, 24 pixels' in capsys.readouterr().out
