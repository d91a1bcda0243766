# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.registry import MODELS
from toy_run import MEMBERS, shake, small_ctt, small_segmentor

from mmseg_ctt.deploy.export import (
    choose_member,
    member_choices,
    member_names,
    member_state,
    segmentor_config,
)


@pytest.fixture
def model():
    return shake(MODELS.build(small_ctt()))


def test_names_and_choices(model):
    assert member_names(model.state_dict()) == MEMBERS
    assert member_choices(MEMBERS) == (*MEMBERS, 'mean-student', 'mean-teacher')
    assert member_choices(['student0']) == ('student0', 'mean-student')
    assert member_names({'students.10.a': 0, 'students.9.a': 0}) == ('student9', 'student10')


CTT = dict(type='CrossTeacherTraining')
ENSEMBLE = dict(CTT, test_cfg=dict(predict_on='ensemble'))


@pytest.mark.parametrize(
    'predict_on, wanted, chosen',
    [
        (None, None, 'teacher0'),
        ('student1', None, 'student1'),
        ('student1', 'teacher1', 'teacher1'),
        ('ensemble', 'mean-teacher', 'mean-teacher'),
    ],
)
def test_choice(predict_on, wanted, chosen):
    cfg = dict(CTT, test_cfg=dict(predict_on=predict_on) if predict_on else None)
    assert choose_member(cfg, MEMBERS, wanted) == chosen


def test_choice_without_teachers_and_without_members():
    assert choose_member(dict(CTT, supervision='mutual'), ['student0', 'student1']) == 'student0'
    assert choose_member({}, []) is None


@pytest.mark.parametrize(
    'names, cfg, wanted, words',
    [
        (
            MEMBERS,
            dict(CTT, test_cfg=dict(predict_on='ensemble')),
            None,
            ['ensemble', 'mean-teacher'],
        ),
        (MEMBERS, {}, 'teacher7', ['teacher7', 'student0, student1', 'mean-student']),
        (['student0'], {}, 'mean-teacher', ['mean-teacher', 'student0']),
        ([], {}, 'student0', ['plain segmentor', 'student0']),
    ],
)
def test_wrong_choice(names, cfg, wanted, words):
    with pytest.raises(ValueError) as error:
        choose_member(cfg, names, wanted)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize('member', MEMBERS)
def test_state_of_a_member(model, member):
    state = member_state(model.state_dict(), member)
    own = model.member(member).state_dict()
    assert state.keys() == own.keys()
    assert all(torch.equal(state[key], own[key]) for key in own)
    state['backbone.conv1.weight'].zero_()
    assert own['backbone.conv1.weight'].any(), 'a copy'


@pytest.mark.parametrize('group', ['student', 'teacher'])
def test_mean_has_weights_and_statistics(model, group):
    model.students[0].backbone.bn1.num_batches_tracked.fill_(7)
    one, other = (model.member(f'{group}{i}').state_dict() for i in range(2))
    mean = member_state(model.state_dict(), f'mean-{group}')
    assert mean.keys() == one.keys()
    for key in ('backbone.conv1.weight', 'backbone.bn1.running_mean', 'backbone.bn1.running_var'):
        torch.testing.assert_close(mean[key], (one[key] + other[key]) / 2)
        assert mean[key].dtype == torch.float32
    counter = 'backbone.bn1.num_batches_tracked'
    assert torch.equal(mean[counter], one[counter]) and mean[counter].dtype == torch.int64


def test_mean_of_unlike_networks():
    state = {'students.0.a': torch.zeros(2), 'students.1.a': torch.zeros(3)}
    with pytest.raises(ValueError, match='one architecture'):
        member_state(state, 'mean-student')


def test_channels_last_and_prefixes():
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    state = {'students.1.a': weight, 'students.11.a': weight * 2, 'students.1_.a': weight}
    found = member_state(state, 'student1')
    assert list(found) == ['a'] and found['a'].is_contiguous()
    assert torch.equal(found['a'], weight)


def test_config_of_a_member():
    overrides = [dict(), dict(backbone=dict(norm_eval=True))]
    cfg = small_ctt(student_overrides=overrides, data_preprocessor=dict(size=(32, 32), std=[1] * 3))
    plain = segmentor_config(cfg, 'student0', dict(test_cfg=dict(size_divisor=32)))
    expected = small_segmentor()
    expected['data_preprocessor'].update(size=(32, 32), test_cfg=dict(size_divisor=32))
    assert plain == expected, "the segmentor's own preprocessor wins over the wrapper's"
    assert segmentor_config(cfg, 'teacher1')['backbone']['norm_eval']
    assert segmentor_config(cfg, 'mean-teacher') == segmentor_config(cfg, 'teacher0')
    assert cfg['segmentor'] == small_segmentor(), 'the config is left as it is'
    alone = segmentor_config(small_segmentor(), None)
    assert alone == small_segmentor()
