# Copyright (c) mmseg_ctt contributors.
"""What ``distill.py`` makes of its arguments; the trainings are not done."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from toy import toy_segmentor
from toy_data import UNLABELED
from toy_run import make_run

from mmseg_ctt.lab.new_run.networks import NETWORKS
from mmseg_ctt.self_training import Distillation, build_rounds
from mmseg_ctt.self_training.distillation_settings import DistillationSettings


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return make_run(tmp_path_factory.mktemp('teacher'))


def test_models_of_the_tool(load_tool):
    segmentor_of = load_tool('distill').module.segmentor_of
    with pytest.raises(ValueError, match='--model absent is not known; known are mobilenetv2'):
        segmentor_of('absent')
    for name in NETWORKS:
        assert Path(Config._get_cfg_path(segmentor_of(name), '')[0]).is_file()
    assert segmentor_of('mmseg::a/b.py') == 'mmseg::a/b.py'


def test_a_checkpoint_at_an_address(load_tool, teacher, monkeypatch):
    tool, got = load_tool('distill'), []
    monkeypatch.setattr(tool.module, 'run_rounds', lambda *given: got.append(given))
    address = 'https://example.com/a.pth'
    tool.call(teacher.config, address, '--student', teacher.config)
    assert got[0][0].self_training.teacher_checkpoint == address


@pytest.mark.parametrize(
    'option, words',
    [
        ('method=mean_teacher', '--cfg-options method and --model mobilenetv2 both say what'),
        ('segmentor_from=mmseg::a.py', 'segmentor_from and .* or name a config of it by --student'),
        ('self_training.member=ensemble', 'self_training.member would be unused: settings of'),
    ],
)
def test_options_that_the_arguments_replace(load_tool, teacher, option, words):
    with pytest.raises(ValueError, match=words):
        load_tool('distill').call(
            *(teacher.config, teacher.checkpoint, '--model', 'mobilenetv2'),
            *('--cfg-options', option),
        )


def test_the_tool_takes_the_config_of_the_run(load_tool, teacher, tmp_path, monkeypatch):
    """With --model the small network has the data of the run, and its labels alone."""
    tool, got = load_tool('distill'), []
    monkeypatch.setattr(tool.module, 'run_rounds', lambda *given: got.append(given))
    (tmp_path / 'small.py').write_text(f'model = {toy_segmentor()!r}\n')
    tool.call(teacher.config, teacher.checkpoint, '--model', tmp_path / 'small.py', '--baseline')
    cfg, work_dir, _ = got[0]
    assert work_dir.as_posix() == 'work_dirs/toy_distilled'
    network = cfg.model.get('segmentor', cfg.model)
    assert network.type == 'EncoderDecoder' and network.backbone.type == 'ToyBackbone'
    assert cfg.train_dataloader.sampler.ratio.unlabeled == 0
    training = build_rounds(cfg, tmp_path / 'run', tmp_path, str)
    training.read_data()
    assert type(training) is Distillation and training.settings.baseline
    assert len(training.images) == len(UNLABELED)
    with pytest.raises(SystemExit):
        tool.call(teacher.config, teacher.checkpoint)


def test_work_folders(load_tool, teacher, tmp_path, monkeypatch):
    """That of the config is the folder of the teacher."""
    tool, got = load_tool('distill'), []
    monkeypatch.setattr(tool.module, 'run_rounds', lambda *given: got.append(str(given[1])))
    words = (teacher.config, teacher.checkpoint, '--student', teacher.config)
    assert Config.fromfile(teacher.config).work_dir
    for more in ([], ['--work-dir', 'a'], ['--cfg-options', 'work_dir=b']):
        tool.call(*words, *more)
    assert got == ['work_dirs/toy_distilled', 'a', 'b']


def test_only_given_settings_are_passed_on(load_tool, teacher, tmp_path, monkeypatch):
    tool, got = load_tool('distill'), []
    monkeypatch.setattr(tool.module, 'run_rounds', lambda *given: got.append(given))
    tool.call(teacher.config, teacher.checkpoint, '--student', teacher.config)
    (cfg, *_) = got[0]
    assert set(cfg.self_training) == {'type', 'teacher_config', 'teacher_checkpoint'}
    made = build_rounds(cfg, tmp_path / 'run', tmp_path, str).settings
    assert made == DistillationSettings(made.teacher_config, made.teacher_checkpoint)
