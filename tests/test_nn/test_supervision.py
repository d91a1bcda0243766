# Copyright (c) mmseg_ctt contributors.
import pytest

from mmseg_ctt.nn.supervision import has_teachers, supervision_graph


@pytest.mark.parametrize(
    'name,num_pairs,want',
    [
        ('cross', 2, (('teacher1',), ('teacher0',))),
        (
            'cross',
            3,
            (('teacher1', 'teacher2'), ('teacher0', 'teacher2'), ('teacher0', 'teacher1')),
        ),
        ('self', 1, (('teacher0',),)),
        ('self', 2, (('teacher0',), ('teacher1',))),
        ('own', 1, (('student0',),)),
        ('own', 2, (('student0',), ('student1',))),
        ('mutual', 2, (('student1',), ('student0',))),
        (
            'mutual',
            3,
            (('student1', 'student2'), ('student0', 'student2'), ('student0', 'student1')),
        ),
        ('dual', 2, (('teacher0', 'teacher1'), ('teacher0', 'teacher1'))),
        ('ensemble', 2, (('teacher0',), ('teacher1',))),
    ],
)
def test_graphs(name, num_pairs, want):
    graph = supervision_graph(name, num_pairs)
    assert graph == want
    assert has_teachers(graph) == (name not in ('mutual', 'own'))


@pytest.mark.parametrize('name', ['cross', 'mutual', 'dual', 'ensemble'])
def test_graphs_that_need_two_pairs(name):
    with pytest.raises(ValueError, match=f"supervision='{name}' needs num_pairs >= 2, got 1"):
        supervision_graph(name, 1)


@pytest.mark.parametrize('name', ['self', 'own'])
def test_no_pair_at_all(name):
    with pytest.raises(ValueError, match='needs num_pairs >= 1, got 0'):
        supervision_graph(name, 0)


@pytest.mark.parametrize('number', ['2', 2.0, None, True])
def test_a_number_of_pairs_that_is_no_integer(number):
    with pytest.raises(TypeError, match=f'^model.num_pairs must be an integer, got {number!r}$'):
        supervision_graph('cross', number)


def test_unknown_graph():
    with pytest.raises(ValueError, match="^model.supervision must be one of .*'cross'.*got 'ring'"):
        supervision_graph('ring', 2)
