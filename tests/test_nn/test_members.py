# Copyright (c) mmseg_ctt contributors.
import pytest

from mmseg_ctt.nn.members import Member, check_names, module_path, students_and_teachers


@pytest.mark.parametrize('pairs', [1, 3])
def test_students_and_their_teachers(pairs):
    table = students_and_teachers(pairs, with_teachers=True)
    assert list(table) == [f'{kind}{i}' for kind in ('student', 'teacher') for i in range(pairs)]
    for i in range(pairs):
        student, teacher = table[f'student{i}'], table[f'teacher{i}']
        assert student.trains and student.follows is None
        assert not teacher.trains and teacher.follows == teacher.copy_of == f'student{i}'
        assert (teacher.interval, teacher.offset) == (1, 0)
    assert all(member.predicts for member in table.values())


def test_without_teachers():
    assert list(students_and_teachers(2, with_teachers=False)) == ['student0', 'student1']


def test_frozen_teachers_follow_nobody_and_begin_as_their_students():
    table = students_and_teachers(2, with_teachers=True, frozen=True)
    assert [table[f'teacher{i}'].follows for i in range(2)] == [None, None]
    assert [table[f'teacher{i}'].copy_of for i in range(2)] == ['student0', 'student1']


@pytest.mark.parametrize(
    'member,path',
    [
        ('student0', ('students', 0)),
        ('teacher12', ('teachers', 12)),
        ('past0', ('past', 0)),
        ('old', ('old', None)),
        ('flaw_detector1', ('flaw_detector', 1)),
    ],
)
def test_place_of_a_member_in_the_model(member, path):
    assert module_path(member) == path


@pytest.mark.parametrize('name', ['', '3', 'teacher-1', 'teacher0x', 'Old'])
def test_names_that_are_no_member(name):
    with pytest.raises(ValueError, match='is no name of a member: use letters and a number'):
        module_path(name)


def test_a_member_predicts_and_does_not_train_unless_told():
    assert Member() == Member(None, 1, 0, False, True, None, None, None)


@pytest.mark.parametrize(
    'names',
    [
        ['student0', 'teacher0'],
        ['student0', 'student1', 'past0', 'past1', 'old'],
        ['teacher0', 'student0', 'teacher1'],
        [f'student{i}' for i in range(12)],
    ],
)
def test_numbers_that_are_the_positions(names):
    check_names(names)


@pytest.mark.parametrize(
    'names,group',
    [
        (['student0', 'past1'], 'past'),
        (['past1', 'past0'], 'past'),
        (['past0', 'past2'], 'past'),
        (['past0', 'past00'], 'past'),
        (['past', 'past0'], 'past'),
        (['student0', 'students'], 'students'),
        (['student1'], 'students'),
    ],
)
def test_numbers_that_are_not_the_positions(names, group):
    with pytest.raises(ValueError, match=f'of model.{group} must be numbered 0, 1, 2, ... in the'):
        check_names(names)
