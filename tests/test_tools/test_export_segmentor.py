# Copyright (c) mmseg_ctt contributors.
import importlib
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'test_export'))

from toy_run import make_run  # noqa: E402


@pytest.fixture
def tool(monkeypatch):
    tools = HERE.parents[1] / 'tools'
    monkeypatch.syspath_prepend(str(tools))
    monkeypatch.syspath_prepend(str(tools / 'model_converters'))
    module = importlib.import_module('export_segmentor')

    def call(*arguments):
        monkeypatch.setattr(sys, 'argv', ['export_segmentor.py', *map(str, arguments)])
        importlib.import_module('_common').run(module.main)

    return call


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.mark.parametrize('arguments, name, source', [
    ([], 'toy_teacher0', 'teachers.0.'),
    (['--member', 'student1'], 'toy_student1', 'students.1.'),
    (['--cfg-options', 'model.test_cfg.predict_on=student0', 'model.segmentor.test_cfg.mode=slide'],
     'toy_student0', 'students.0.'),
    (['--member', 'mean-teacher', '--name', 'mine'], 'mine', None)])
def test_two_files(run, tmp_path, tool, capsys, arguments, name, source):
    tool(run.config, run.checkpoint, tmp_path / 'out', *arguments)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        f'{name}.pth', f'{name}.py']
    assert f'{name}.py' in capsys.readouterr().out
    cfg = Config.fromfile(tmp_path / 'out' / f'{name}.py')
    assert cfg.model.test_cfg.mode == ('slide' if 'slide' in str(arguments) else 'whole')
    state = torch.load(tmp_path / 'out' / f'{name}.pth')['state_dict']
    if source is not None:
        key = 'decode_head.conv_seg.weight'
        assert torch.equal(state[key], run.state_dict[source + key])


@pytest.mark.parametrize('spoil, arguments, words', [
    ('config', [], 'the config absent.py does not exist'),
    ('checkpoint', [], 'the checkpoint absent.pth does not exist'),
    (None, ['--member', 'ensemble'], 'the ensemble is several networks'),
    (None, ['--member', 'student5'], "no member 'student5': choose from student0"),
    (None, ['--cfg-options', 'model.segmentor.decode_head.channels=4'], 'do not belong together')])
def test_one_line_errors(run, tmp_path, tool, capsys, spoil, arguments, words):
    config = 'absent.py' if spoil == 'config' else run.config
    checkpoint = 'absent.pth' if spoil == 'checkpoint' else run.checkpoint
    with pytest.raises(SystemExit) as exit_:
        tool(config, checkpoint, tmp_path / 'out', *arguments)
    error = capsys.readouterr().err.splitlines()[-1]
    assert exit_.value.code == 2 and error.startswith('error: ') and words in error
    assert not (tmp_path / 'out').exists()
