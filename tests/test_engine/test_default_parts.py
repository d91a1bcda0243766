# Copyright (c) mmseg_ctt contributors.
"""Parts of mmseg in a config, and random weights, are named before the first iteration."""

import copy
import logging

import pytest
from leaves import LEAVES, leaf
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from toy import toy_model, toy_segmentor
from toy_data import toy_config, toy_ctt, toy_method

from mmseg_ctt.engine import StudentOptimWrapperConstructor
from mmseg_ctt.engine.guards.parts import other_constructor, other_loop, random_backbone

OPTIM = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05))
PARAMWISE = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=2.0))))


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append((record.levelname, record.getMessage()))


def trained(cfg: Config) -> list:
    """Lines of the log of a run."""
    runner = Runner.from_cfg(cfg)
    handler = Lines()
    runner.logger.addHandler(handler)
    runner.val_loop.run = dict
    runner.train()
    return handler.lines


@pytest.mark.parametrize('optim', [OPTIM, {**OPTIM, **PARAMWISE}], ids=['plain', 'paramwise'])
def test_a_stock_constructor(optim, root, tmp_path):
    """With settings of parameters it leaves teachers out too, a line and a group for each."""
    cfg = toy_config(root, tmp_path / 'work', optim_wrapper=optim)
    with pytest.raises(ValueError, match='optim_wrapper.constructor="StudentOptimWrapperCon'):
        Runner.from_cfg(cfg).train()


def test_constructors_that_may_stay():
    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(name='MyConstructor', force=True)
    class MyConstructor(StudentOptimWrapperConstructor):
        pass

    model = toy_model()
    assert other_constructor(model, dict(OPTIM, constructor='MyConstructor')) is None
    assert other_constructor(toy_model('CrossPseudoSupervision'), OPTIM) is None, 'all train'
    assert 'DefaultOptimWrapperConstructor' in other_constructor(model, OPTIM)
    assert other_constructor(model, None) is None
    OPTIM_WRAPPER_CONSTRUCTORS.module_dict.pop('MyConstructor')


def test_no_line_for_each_weight_that_does_not_train(root, tmp_path):
    optim = dict(OPTIM, constructor='StudentOptimWrapperConstructor', **PARAMWISE)
    lines = trained(toy_config(root, tmp_path / 'work', optim_wrapper=optim))
    assert not [line for _, line in lines if 'requires_grad' in line or 'paramwise' in line]


def test_a_stock_loop_is_named(root, tmp_path):
    loop = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=100)
    lines = trained(toy_config(root, tmp_path / 'work', train_cfg=loop))
    (line,) = [line for level, line in lines if level == 'WARNING' and 'train_cfg' in line]
    assert 'IterBasedTrainLoop' in line and 'train_cfg.type="ResumableTrainLoop"' in line
    assert other_loop(toy_model(), dict(type='ResumableTrainLoop')) is None
    assert other_loop(toy_model(), dict(by_epoch=True, max_epochs=3)) is not None


@pytest.mark.parametrize('wrapped', [True, False])
def test_random_weights_are_said_once(wrapped, root, tmp_path):
    model = toy_method('MeanTeacher') if wrapped else None
    lines = trained(toy_config(root, tmp_path / 'work', model=model))
    found = [line for level, line in lines if 'starts from random numbers' in line]
    assert len(found) == 1 and 'model.segmentor.backbone.init_cfg' in found[0]


def test_where_weights_are_looked_for():
    plain = toy_segmentor()
    assert 'model.backbone.init_cfg' in random_backbone(plain)
    weights = dict(type='Pretrained', checkpoint='a.pth')
    nested = dict(type='BiSeNetV1', backbone_cfg=dict(type='ResNet', init_cfg=weights))
    overrides = [dict(backbone=dict(init_cfg=weights)), None]
    for model in (
        dict(plain, backbone=dict(type='ToyBackbone', init_cfg=weights)),
        dict(plain, backbone=dict(type='ToyBackbone', init_cfg=None)),
        dict(plain, backbone=nested),
        dict(plain, pretrained='open-mmlab://resnet50_v1c'),
        dict(type='CrossTeacherTraining', segmentor=plain, student_overrides=overrides),
        None,
    ):
        assert random_backbone(model) is None
    assert random_backbone(dict(plain, pretrained=None)) is not None


def test_weights_of_another_run_are_starting_weights(root, tmp_path):
    cfg = toy_config(root, tmp_path / 'work')
    Runner.from_cfg(cfg).train()
    changed = copy.deepcopy(cfg)
    changed.load_from, changed.experiment_name = str(tmp_path / 'work/iter_2.pth'), 'second'
    changed.work_dir = str(tmp_path / 'second')
    assert not [line for _, line in trained(changed) if 'random numbers' in line]


def test_every_config_has_weights_or_says_that_it_has_none():
    for name in LEAVES:
        assert random_backbone(leaf(name).model) is None, name


FROZEN = dict(num_pairs=1, supervision='self', frozen_teachers=True, loss_weights=dict(hc=0, lc=0))


def test_frozen_teachers_of_random_numbers(root, tmp_path):
    """Also where a run that is to be resumed has saved nothing yet."""
    cfg = toy_config(root, tmp_path / 'work', model=toy_ctt(**FROZEN))
    for resume in (False, True):
        cfg.resume = resume
        cfg.experiment_name = f'frozen {resume}'
        with pytest.raises(ValueError, match='model.frozen_teachers: set load_from=FILE'):
            Runner.from_cfg(copy.deepcopy(cfg)).train()


def test_frozen_teachers_of_a_checkpoint_are_resumed(root, tmp_path):
    cfg = toy_config(
        root, tmp_path / 'first', model=toy_ctt(**{**FROZEN, 'frozen_teachers': False})
    )
    Runner.from_cfg(cfg).train()
    cfg = toy_config(root, tmp_path / 'work', model=toy_ctt(**FROZEN))
    cfg.load_from = str(tmp_path / 'first/iter_2.pth')
    Runner.from_cfg(copy.deepcopy(cfg)).train()
    cfg.update(load_from=None, resume=True, experiment_name='resumed')
    cfg.train_cfg.max_iters = 3
    trained(cfg)
