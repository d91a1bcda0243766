# Copyright (c) mmseg_ctt contributors.
"""Members that no present method has: teachers in turn, copies of the past, an old model."""

from types import SimpleNamespace

import pytest
import torch
from mmseg.registry import MODELS
from toy import losses_of, total_of, toy_batch, toy_model, toy_segmentor
from toy_run import shake

from mmseg_ctt.engine import StudentOptimWrapperConstructor, TeacherEMAHook
from mmseg_ctt.functional import ema_decay
from mmseg_ctt.methods.followers import paired_tensors
from mmseg_ctt.methods.weak_to_strong import WeakToStrong
from mmseg_ctt.nn.members import Member

ALPHA, OLD_CLASSES = 0.6, 3
NAME = 'decode_head.conv_seg.weight'


class ManyMembers(WeakToStrong):
    """One student, two teachers updated in turn, a copy of the past, an old model of 3 classes."""

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_consistency = dict(confidence_threshold=0.0)

    def member_table(self, num_pairs, with_teachers, frozen):
        old = dict(decode_head=dict(num_classes=OLD_CLASSES))
        return dict(
            student0=Member(trains=True),
            teacher0=Member(follows='student0', interval=2),
            teacher1=Member(follows='student0', interval=2, offset=1),
            past0=Member(copy_of='student0', predicts=False),
            old=Member(override=old, predicts=False),
        )


def build(**settings):
    return toy_model(ManyMembers, **settings)


def weight(model, name):
    return model.member(name).state_dict()[NAME].clone()


def optimised(model, **hook):
    """The optimiser of a run, which its followers follow."""
    settings = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    wrapper = StudentOptimWrapperConstructor(settings)(model)
    TeacherEMAHook(ALPHA, **hook).before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    return wrapper


def train(model, wrapper, steps):
    """Weights of all members after each step."""
    states = []
    for i in range(steps):
        wrapper.update_params(total_of(losses_of(model, toy_batch(seed=i)), model))
        states.append({name: weight(model, name) for name in model.members})
    return states


def test_where_members_lie():
    model = build()
    assert len(model.students) == 1 and len(model.teachers) == 2 and len(model.past) == 1
    assert model.member('past0') is model.past[0] and model.member('old') is model.old
    assert model.member_names == ('student0', 'teacher0', 'teacher1', 'ensemble')
    assert model.untrained_modules == ('teachers.0', 'teachers.1', 'past.0', 'old')
    assert model.old.decode_head.num_classes == OLD_CLASSES and model.num_classes == 4
    keys = {key.split('.')[0] for key in model.state_dict()}
    assert keys == {'students', 'teachers', 'past', 'old', 'num_updates'}


def test_two_teachers_are_updated_in_turn():
    """Each with every second step, and as if there were no other steps."""
    model = build()
    states = train(model, optimised(model), 7)
    for teacher, offset in (('teacher0', 0), ('teacher1', 1)):
        average, turn = None, 0
        for number, state in enumerate(states):
            if number % 2 == offset:
                decay = ema_decay(turn, ALPHA)
                new = state['student0']
                average = new if average is None else decay * average + (1 - decay) * new
                turn += 1
                torch.testing.assert_close(state[teacher], average)
            elif number:
                assert torch.equal(state[teacher], states[number - 1][teacher])
    assert not torch.allclose(states[-1]['teacher0'], states[-1]['teacher1'])
    assert int(model.num_updates) == 7


def test_a_resumed_run_goes_on_with_the_next_teacher():
    whole = build()
    states = train(whole, optimised(whole), 4)
    first = build()
    train(first, optimised(first), 3)
    second = build()
    second.load_state_dict(first.state_dict())
    wrapper = optimised(second)
    wrapper.update_params(total_of(losses_of(second, toy_batch(seed=3)), second))
    for name, value in states[-1].items():
        torch.testing.assert_close(weight(second, name), value)


def test_members_that_follow_nobody_stay_as_they_are():
    model = build()
    shake(model.old, 3)
    before = {name: weight(model, name) for name in model.members}
    states = train(model, optimised(model), 3)
    for name in ('past0', 'old'):
        assert torch.equal(states[-1][name], before[name])
    assert torch.equal(before['past0'], before['student0'])
    assert not torch.equal(states[-1]['student0'], before['student0'])
    assert all(p.grad is None for p in (*model.past.parameters(), *model.old.parameters()))


@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_old_and_past_members_keep_to_eval_mode(mode):
    model = build(teacher_mode=mode)
    statistics = model.old.backbone.norm.running_mean.clone()
    model.train()
    assert not model.old.training and not model.past[0].training
    assert model.teachers[0].training == model.teachers[1].training == (mode == 'train')
    x = torch.randn(2, 3, 32, 32)
    (output,) = model.forward_member('old', x)
    assert output.logits.shape[1] == OLD_CLASSES and not output.logits.requires_grad
    assert torch.equal(model.old.backbone.norm.running_mean, statistics)


def test_a_plain_checkpoint_fills_all_but_the_old_model():
    plain, model = shake(MODELS.build(toy_segmentor()), 5), build()
    kept = model.old.state_dict()[NAME].clone()
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    for name in ('student0', 'teacher0', 'teacher1', 'past0'):
        assert torch.equal(weight(model, name), plain.state_dict()[NAME])
    assert torch.equal(model.old.state_dict()[NAME], kept)


def test_the_old_model_is_initialised_by_its_own_config(tmp_path):
    old = MODELS.build(toy_segmentor(num_classes=OLD_CLASSES))
    torch.save(shake(old, 2).state_dict(), tmp_path / 'old.pth')

    class Loaded(ManyMembers):
        def member_table(self, *args):
            table = super().member_table(*args)
            override = dict(
                table['old'].override,
                init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'old.pth')),
            )
            return dict(table, old=table['old']._replace(override=override))

    model = toy_model(Loaded)
    for key, value in old.state_dict().items():
        assert torch.equal(model.old.state_dict()[key], value), key
    assert not torch.equal(weight(model, 'student0')[:OLD_CLASSES], weight(model, 'old'))


def test_a_table_with_a_gap_in_its_numbers_is_refused():
    class Gap(ManyMembers):
        def member_table(self, *args):
            table = super().member_table(*args)
            table['past1'] = table.pop('past0')
            return table

    with pytest.raises(ValueError, match=r"\['past1'\] of model.past must be numbered"):
        toy_model(Gap)


def test_the_ensemble_is_that_of_the_teachers():
    model = build(test_cfg=dict(predict_on='ensemble')).eval()
    shake(model.teachers, 1)
    x, metas = torch.randn(1, 3, 32, 32), [dict(ori_shape=(32, 32), img_shape=(32, 32))]
    parts = [teacher.inference(x, metas).softmax(1) for teacher in model.teachers]
    torch.testing.assert_close(model.inference(x, metas).exp(), sum(parts) / 2)


@pytest.mark.parametrize('buffers', [False, True])
def test_tensors_of_the_followers_are_paired(buffers):
    model = build()
    pairs = paired_tensors(model.followers(), buffers)
    teachers = {t.data_ptr() for t in model.teachers.parameters()}
    if buffers:
        teachers |= {t.data_ptr() for t in model.teachers.buffers()}
    old = pairs['average'][0] + pairs['copy'][0]
    new = pairs['average'][1] + pairs['copy'][1]
    assert {t.data_ptr() for t in old} == teachers and len(old) == len(teachers)
    student = {t.data_ptr(): name for name, t in model.students[0].state_dict().items()}
    names = {
        t.data_ptr(): name for teacher in model.teachers for name, t in teacher.state_dict().items()
    }
    assert [student[t.data_ptr()] for t in new] == [names[t.data_ptr()] for t in old]
    assert all(t.is_floating_point() for t in pairs['average'][0])
    assert len(pairs['copy'][0]) == (4 if buffers else 0)  # two counters in each teacher
    assert not any(t.requires_grad for t in new)


class FrozenStudent(ManyMembers):
    """Of two students one stays as it is, and a member of another name follows the other."""

    default_num_pairs = 2
    default_supervision = 'mutual'

    def member_table(self, num_pairs, with_teachers, frozen):
        return dict(
            student0=Member(trains=True),
            student1=Member(),
            past0=Member(follows='student0', predicts=False),
        )


def test_a_table_says_who_trains_whatever_the_name():
    model = toy_model(FrozenStudent).train()
    assert len(model.students) == 2 and model.untrained_modules == ('students.1', 'past.0')
    assert not any(weight.requires_grad for weight in model.students[1].parameters())
    assert model.past[0].training and not model.students[1].training
    wrapper = StudentOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    )(model)
    given = {id(weight) for group in wrapper.param_groups for weight in group['params']}
    assert given == {id(weight) for weight in model.students[0].parameters()}


class SilentTeacher(ManyMembers):
    """Of two teachers one does not predict."""

    def member_table(self, num_pairs, with_teachers, frozen):
        return dict(
            student0=Member(trains=True),
            teacher0=Member(follows='student0'),
            teacher1=Member(follows='student0', predicts=False),
        )


def test_the_ensemble_is_the_same_everywhere():
    model = toy_model(SilentTeacher, test_cfg=dict(predict_on='ensemble')).eval()
    assert model.member_names == ('student0', 'teacher0', 'ensemble')
    assert model.predicting_members() == [model.teachers[0]]
