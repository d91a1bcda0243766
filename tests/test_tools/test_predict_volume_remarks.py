# Copyright (c) mmseg_ctt contributors.
"""What tools/volumes/predict_volume.py says of a config that is not that of the checkpoint."""

import pytest
import torch
from toy import toy_segmentor
from toy_volume_run import make_volume_run


@pytest.fixture
def made(tmp_path):
    """A run whose checkpoint holds its config, as those of mmengine do."""
    made = make_volume_run(tmp_path, plane='x')
    saved = torch.load(made.checkpoint)
    saved['meta']['cfg'] = made.cfg.pretty_text
    torch.save(saved, made.checkpoint)
    return made


@pytest.fixture
def call(load_tool, made, tmp_path, capsys):
    tool = load_tool('volumes/predict_volume')

    def call(*arguments, config=made.config):
        case = tmp_path / 'volumes/images/c.nii.gz'
        tool.call(config, made.checkpoint, case, *arguments, '--out', tmp_path / 'out')
        return [line for line in capsys.readouterr().out.splitlines() if 'the run of' in line]

    return call


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--plane', 'z'], "has plane='x', this prediction plane='z': is"),
        (
            ['--context', 3, '--window', 0, 200],
            'has context=1, window=None, this prediction context=3, window=(0.0, 200.0): is',
        ),
        (['--plane', 'x'], None),
        ([], None),
    ],
)
def test_other_slices_than_those_of_the_run(call, arguments, words):
    found = call(*arguments)
    assert len(found) == bool(words)
    assert not words or (found[0].startswith('WARNING: ') and words in found[0])


def plain_config(made, tmp_path):
    made.cfg.model = toy_segmentor(num_classes=2)
    made.cfg.dump(tmp_path / 'plain.py')
    return tmp_path / 'plain.py'


def test_another_method_than_that_of_the_run(call, made, tmp_path):
    config = plain_config(made, tmp_path)
    with pytest.raises(ValueError, match='holds student0, student1, teacher0, teacher1, and'):
        call(config=config)
    found = call('--member', 'teacher0', config=config)
    assert len(found) == 1 and "model.type='CrossTeacherTraining'" in found[0]
