# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.config import Config
from toy_run import make_run


@pytest.fixture
def tool(load_tool):
    return load_tool('model_converters/export_segmentor')


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.mark.parametrize(
    'arguments, name, source',
    [
        ([], 'toy_teacher0', 'teachers.0.'),
        (['--member', 'student1'], 'toy_student1', 'students.1.'),
        (
            [
                '--cfg-options',
                'model.test_cfg.predict_on=student0',
                'model.segmentor.test_cfg.mode=slide',
                'model.segmentor.test_cfg.crop_size=(16,16)',
                'model.segmentor.test_cfg.stride=(8,8)',
            ],
            'toy_student0',
            'students.0.',
        ),
        (['--member', 'mean-teacher', '--name', 'mine'], 'mine', None),
    ],
)
def test_two_files(run, tmp_path, tool, capsys, arguments, name, source):
    tool.call(run.config, run.checkpoint, tmp_path / 'out', *arguments)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        f'{name}.pth',
        f'{name}.py',
    ]
    assert f'{name}.py' in capsys.readouterr().out
    cfg = Config.fromfile(tmp_path / 'out' / f'{name}.py')
    assert cfg.model.test_cfg.mode == ('slide' if 'slide' in str(arguments) else 'whole')
    state = torch.load(tmp_path / 'out' / f'{name}.pth')['state_dict']
    if source is not None:
        key = 'decode_head.conv_seg.weight'
        assert torch.equal(state[key], run.state_dict[source + key])


def test_a_file_is_no_folder(run, tmp_path, tool):
    with pytest.raises(ValueError, match='toy.py is a file: give another folder'):
        tool.call(run.config, run.checkpoint, tmp_path / 'toy.py')


@pytest.mark.parametrize(
    'spoil, arguments, words',
    [
        ('config', [], 'the config absent.py does not exist'),
        ('checkpoint', [], 'the checkpoint absent.pth does not exist'),
        (None, ['--member', 'ensemble'], 'the ensemble is several networks'),
        (None, ['--member', 'student5'], "no member 'student5': choose from student0"),
        (
            None,
            ['--cfg-options', 'model.segmentor.decode_head.channels=4'],
            'do not belong together',
        ),
    ],
)
def test_one_line_errors(run, tmp_path, tool, capsys, spoil, arguments, words):
    config = 'absent.py' if spoil == 'config' else run.config
    checkpoint = 'absent.pth' if spoil == 'checkpoint' else run.checkpoint
    assert tool.exit_code(config, checkpoint, tmp_path / 'out', *arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('error: ') and words in error
    assert not (tmp_path / 'out').exists()
