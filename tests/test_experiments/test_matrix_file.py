# Copyright (c) mmseg_ctt contributors.
"""A matrix file that begins from another one."""

import pytest
import yaml

from mmseg_ctt.lab.experiments.matrix import read_matrix

BASE = dict(
    seeds=[3],
    eval_sets=['test'],
    methods=dict(semi=dict(config='semi.py', member='ensemble')),
    splits={'1_8': None, 'all': None},
    out='base.csv',
    work_dir='work_dirs/shared',
)


@pytest.fixture
def write(tmp_path):
    """Write a file of some keys, and give its path."""

    def write(name, **content):
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    write('base', **BASE)
    return write


def test_what_is_missing_is_that_of_the_base(write):
    methods = dict(plain=dict(config='p.py'))
    matrix = read_matrix(
        write('own', base='base.yaml', methods=methods, eval_sets=None, out='o.csv')
    )
    assert {(cell.method, cell.config) for cell in matrix.cells} == {('plain', 'p.py')}
    assert {cell.seed for cell in matrix.cells} == {3}
    assert (matrix.out, matrix.eval_sets) == ('o.csv', ('val',)) and not matrix.members


@pytest.mark.parametrize('work_dir', [{}, dict(work_dir=None)])
def test_csv_and_folder_are_never_those_of_the_base(write, work_dir):
    """Rows of one matrix would replace those of the same names of the other one."""
    matrix = read_matrix(write('own', base='base.yaml', out='o.csv', **work_dir))
    assert matrix.work_dir == 'work_dirs/own'
    assert read_matrix(write('two', base='own.yaml', out='2.csv')).work_dir == 'work_dirs/two'
    given = write('own', base='base.yaml', out='o.csv', work_dir='runs')
    assert read_matrix(given).work_dir == 'runs'
    for out in ({}, dict(out=None)):
        with pytest.raises(ValueError, match='own.yaml: out is missing .*docs/results_own.csv'):
            read_matrix(write('own', base='base.yaml', seeds=[4], **out))
    with pytest.raises(ValueError, match='own.yaml: out=./base.csv is that of base.yaml, whose'):
        read_matrix(write('own', base='base.yaml', out='./base.csv'))
    write('base', **{**BASE, 'out': None})
    with pytest.raises(ValueError, match='out=docs/results.csv is that of base.yaml'):
        read_matrix(write('own', base='base.yaml', out='docs/results.csv'))


def test_errors_of_the_base_name_its_file(write):
    own = write('own', base='base.yaml', out='o.csv')
    for changes, words in (
        (dict(sedes=[1]), "base.yaml: key 'sedes' is unknown"),
        (dict(methods=dict(a=dict(confg='a.py'))), r"base.yaml: methods.a.key 'confg' is unknown"),
        (dict(splits={116: None}), 'base.yaml: splits has the number 116'),
    ):
        write('base', **{**BASE, **changes})
        with pytest.raises(ValueError, match=words):
            read_matrix(own)


def test_a_base_that_is_none(write):
    for base, error, words in (
        ('own.yaml', ValueError, 'own.yaml: base names own.yaml, which begins from this file'),
        ('absent.yaml', FileNotFoundError, 'absent.yaml does not exist'),
        (['base.yaml'], ValueError, 'must be the name of a matrix file'),
    ):
        with pytest.raises(error, match=words):
            read_matrix(write('own', base=base))


def test_a_circle_is_reported_for_the_file_that_closes_it(write):
    own = write('own', base='base.yaml', out='o.csv')
    write('base', **BASE, base='own.yaml')
    with pytest.raises(ValueError, match='base.yaml: base names own.yaml, which begins from this'):
        read_matrix(own)


def test_a_part_begins_from_one_of_the_base(write):
    """Single options are taken over; null leaves a key out."""
    first = dict(config='a.py', seeds=[5], cfg_options={'x': 1, 'y': 1})
    write('base', **{**BASE, 'splits': {'a': first, 'b': dict(config='b.py')}})
    splits = dict(
        one=dict(base='a', cfg_options={'y': 2, 'z': 2}),
        two=dict(base='a', seeds=None),
        three=dict(base='b', cfg_options={'x': 3}),
    )
    methods = dict(other=dict(base='semi', config=None))
    own = write('own', base='base.yaml', out='o.csv', splits=splits, methods=methods)
    third = write('third', base='own.yaml', out='p.csv', splits=dict(four=dict(base='one')))
    assert [read_matrix(file).members for file in (own, third)] == [{'other': 'ensemble'}] * 2
    found = {cell.split: (cell.config, cell.options) for cell in _cells(own, third)}
    assert found == {
        'one': ('a.py', {'x': 1, 'y': 2, 'z': 2, 'randomness.seed': 5}),
        'two': ('a.py', {'x': 1, 'y': 1, 'randomness.seed': 3}),
        'three': ('b.py', {'x': 3, 'randomness.seed': 3}),
        'four': ('a.py', {'x': 1, 'y': 2, 'z': 2, 'randomness.seed': 5}),
    }


def _cells(*files):
    return [cell for file in files for cell in read_matrix(file).cells]


def test_a_part_that_begins_from_none(write):
    for content, words in (
        (dict(splits=dict(b=dict(base='c')), base='base.yaml', out='o.csv'), 'base.yaml: 1_8, all'),
        (
            dict(splits=dict(b=dict(base=['b'])), methods={}),
            r'no other file .base is missing.: none',
        ),
    ):
        with pytest.raises(ValueError, match=f'own.yaml: splits.b.base .* is unknown; .*{words}'):
            read_matrix(write('own', **content))
    options = dict(base='1_8', cfg_options=[1])
    write('base', **{**BASE, 'splits': {'1_8': dict(cfg_options={'x': 1})}})
    with pytest.raises(ValueError, match='own.yaml: splits.b.cfg_options must be a mapping'):
        read_matrix(write('own', base='base.yaml', out='o.csv', splits=dict(b=options)))
