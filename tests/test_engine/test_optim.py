# Copyright (c) mmseg_ctt contributors.
import pytest
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmseg.registry import MODELS
from toy import toy_model, toy_segmentor
from versions import FUSED

from mmseg_ctt.engine import StudentOptimWrapperConstructor

PARAMWISE = dict(custom_keys={'backbone': dict(lr_mult=0.1)}, norm_decay_mult=0.0)
OPTIM = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0, weight_decay=0.5))


def parameters_of(wrapper):
    return {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}


@pytest.fixture
def warnings(monkeypatch):
    """What is said while the optimiser is built."""
    said = []
    monkeypatch.setattr(
        'mmengine.optim.optimizer.default_constructor.print_log',
        lambda message, *_, **__: said.append(message),
    )
    return said


@pytest.mark.parametrize('paramwise', [None, PARAMWISE, dict(bypass_duplicate=True)])
def test_students_and_nothing_else(paramwise, warnings):
    model = toy_model()
    wrapper = StudentOptimWrapperConstructor(OPTIM, paramwise)(model)
    taught = {id(p) for p in model.teachers.parameters()}
    assert parameters_of(wrapper) == {id(p) for p in model.students.parameters()}
    assert taught and not taught & parameters_of(wrapper)
    assert not [message for message in warnings if 'skipped' in message]


def test_the_stock_constructor_does_otherwise(warnings):
    """What the test above would see if the constructor did nothing."""
    model = toy_model()
    wrapper = DefaultOptimWrapperConstructor(OPTIM)(model)
    assert {id(p) for p in model.teachers.parameters()} <= parameters_of(wrapper)
    DefaultOptimWrapperConstructor(OPTIM, PARAMWISE)(model)
    assert [message for message in warnings if 'skipped' in message]


def test_custom_keys_are_respected():
    model = toy_model()
    wrapper = StudentOptimWrapperConstructor(OPTIM, PARAMWISE)(model)
    settings = {
        id(p): (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    for student in model.students:
        assert settings[id(student.backbone.stem.weight)] == (0.1, 0.5)
        assert settings[id(student.decode_head.conv_seg.weight)] == (1.0, 0.5)
        assert settings[id(student.decode_head.convs[0].bn.weight)] == (1.0, 0.0)


def test_by_name_in_a_config_and_for_a_plain_model():
    model = MODELS.build(toy_segmentor())
    wrapper = build_optim_wrapper(
        model, dict(OPTIM, constructor='StudentOptimWrapperConstructor', paramwise_cfg=PARAMWISE)
    )
    assert parameters_of(wrapper) == {id(p) for p in model.parameters()}


def test_config_is_left_as_it_is():
    paramwise = dict(PARAMWISE)
    StudentOptimWrapperConstructor(OPTIM, paramwise)(toy_model())
    assert paramwise == PARAMWISE


def test_parameters_of_equal_settings_share_a_group():
    wrapper = StudentOptimWrapperConstructor(OPTIM, PARAMWISE)(toy_model())
    settings = [(group['lr'], group['weight_decay']) for group in wrapper.optimizer.param_groups]
    assert sorted(settings) == sorted(set(settings))
    assert len(settings) == 3


@FUSED
@pytest.mark.parametrize('kind', ['SGD', 'AdamW'])
def test_on_a_cpu_the_optimiser_is_fused(kind):
    cfg = dict(type='OptimWrapper', optimizer=dict(type=kind, lr=0.1))
    assert StudentOptimWrapperConstructor(cfg)(toy_model()).optimizer.defaults['fused']
    cfg['optimizer']['fused'] = False
    assert not StudentOptimWrapperConstructor(cfg)(toy_model()).optimizer.defaults['fused']
    cfg['optimizer'] = dict(type='RMSprop', lr=0.1)
    StudentOptimWrapperConstructor(cfg)(toy_model())
