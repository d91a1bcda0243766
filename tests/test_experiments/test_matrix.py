# Copyright (c) mmseg_ctt contributors.
from pathlib import Path

import pytest
import yaml

from mmseg_ctt.lab.experiments.matrix import read_matrix, select

MATRICES = Path(__file__).resolve().parents[2] / 'configs' / 'matrices'


def content(**changes):
    return {
        **dict(
            seeds=[0],
            cfg_options={'a.b': 1, 'c': 2},
            methods=dict(
                plain=dict(config='plain_{split}.py'),
                semi=dict(config='semi.py', member='ensemble', cfg_options={'c': 3}),
            ),
            splits={
                '1_8': dict(seeds=dict(semi=[5, 6])),
                'all': dict(methods=['plain'], cfg_options={'c': None}),
            },
        ),
        **changes,
    }


def read(tmp_path, **changes):
    path = tmp_path / 'toy.yaml'
    path.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return read_matrix(path)


def test_cells(tmp_path):
    matrix = read(tmp_path)
    assert [(cell.method, cell.split, cell.seed) for cell in matrix.cells] == [
        ('plain', '1_8', 0),
        ('semi', '1_8', 5),
        ('plain', 'all', 0),
        ('semi', '1_8', 6),
    ]
    assert [cell.config for cell in matrix.cells] == [
        'plain_1-8.py',
        'semi.py',
        'plain_all.py',
        'semi.py',
    ]
    assert [cell.options for cell in matrix.cells] == [
        {'a.b': 1, 'c': 2, 'randomness.seed': 0},
        {'a.b': 1, 'c': 3, 'randomness.seed': 5},
        {'a.b': 1, 'c': None, 'randomness.seed': 0},
        {'a.b': 1, 'c': 3, 'randomness.seed': 6},
    ]
    assert matrix.members == {'semi': 'ensemble'} and matrix.eval_sets == ('val',)
    assert (matrix.out, matrix.work_dir) == ('docs/results.csv', 'work_dirs/toy')


def test_tuples(tmp_path):
    matrix = read(tmp_path, cfg_options={'size': '(128, 176)', 'words': 'a (b)'})
    assert matrix.cells[0].options['size'] == (128, 176)
    assert matrix.cells[0].options['words'] == 'a (b)'
    with pytest.raises(ValueError, match='cfg_options.size: .* no tuple'):
        read(tmp_path, cfg_options={'size': '(128, '})


def test_selection(tmp_path):
    cells = read(tmp_path).cells
    assert select(cells, []) == cells
    assert select(cells, ['method=semi,seed=5']) == [cells[1]]
    assert select(cells, ['seed=0', 'seed=6']) == [cells[0], cells[2], cells[3]]
    assert select(cells, ['split=all', 'method=semi']) == cells[1:]
    assert select(cells, ['method=semi,method=plain,split=1_8,seed=0,seed=5']) == cells[:2]
    for bad in ('method', 'colour=red', 'method=ctt', 'seed=', 'split=all,method=semi', ''):
        with pytest.raises(ValueError, match='--only'):
            select(cells, [bad])


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(methods={}), 'methods is missing or empty'),
        (
            dict(methods=dict(a=dict(cfg_options={})), splits=dict(s=None)),
            'methods.a.config is missing',
        ),
        (dict(methods=dict(a=dict(config='a.py', confg=1))), r"methods.a.key 'confg' is unknown"),
        (dict(splits={116: None}), 'number 116: write names that begin with a digit in quotes'),
        (dict(splits=dict(a=dict(methods=['ctt']))), r"splits.a.methods 'ctt' is unknown"),
        (dict(splits=dict(a=dict(seeds=dict(ctt=[1])))), r"splits.a.seeds.key 'ctt' is unknown"),
        (dict(splits=dict(a=3)), 'splits.a. must be a mapping'),
        (
            dict(splits=dict(a=dict(seeds=3))),
            'seeds of plain on a must be a list of numbers, got 3',
        ),
        (dict(seeds=['0']), 'seeds of plain on 1_8 must be a list of numbers'),
        (dict(cfg_options=['a.b=1']), 'cfg_options must be a mapping'),
        (dict(methods=dict(a=None), splits=dict(s=None)), 'methods.a.config is missing'),
        (
            dict(methods=dict(a=dict(config='a.py', member='best')), splits=dict(s=None)),
            "member 'best' is unknown",
        ),
        (dict(eval_sets=[]), 'eval_sets must be a list'),
        (dict(eval_sets='val'), 'eval_sets must be a list'),
        (dict(eval_sets=['train']), "eval_sets 'train' is unknown; known are val, test"),
        (dict(baseline='x'), "baseline 'x' is unknown"),
        (dict(full_labels='x'), "full_labels 'x' is unknown"),
        (dict(sedes=[1]), "key 'sedes' is unknown"),
    ],
)
def test_errors(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, **changes)


def test_missing_and_broken_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.yaml does not exist'):
        read_matrix(tmp_path / 'absent.yaml')
    (tmp_path / 'bad.yaml').write_text('a: [1')
    with pytest.raises(ValueError, match='bad.yaml is not YAML'):
        read_matrix(tmp_path / 'bad.yaml')


@pytest.mark.parametrize('path', sorted(MATRICES.glob('*.yaml')), ids=lambda path: path.stem)
def test_matrices_of_the_repository(path, repo_root):
    matrix = read_matrix(path)
    rows = {'supervised', 'mean_teacher', 'mutual', 'dual', 'ct', 'ctt'}
    if path.stem.endswith('strongest'):
        rows = {'supervised', 'fixmatch', 'unimatch', 'unimatch_v2', 'ctt', 'ctt-plus'}
    elif not path.stem.endswith('small'):
        rows |= {'ensemble', 'ct_hc', 'ct_lc'}
    assert rows <= {cell.method for cell in matrix.cells}
    assert {cell.split for cell in matrix.cells if cell.method == 'supervised'} >= {'all'}
    assert all((repo_root / cell.config).is_file() for cell in matrix.cells)
    assert len({str(cell) for cell in matrix.cells}) == len(matrix.cells)
    assert (matrix.baseline, matrix.full_labels) == ('supervised', 'all')


def test_methods_on_some_splits_only(tmp_path):
    methods = content()['methods']
    methods['semi']['splits'] = ['all']
    splits = {'1_8': None, 'all': None}
    cells = read(tmp_path, methods=methods, splits=splits).cells
    assert [(cell.method, cell.split) for cell in cells] == [
        ('plain', '1_8'),
        ('plain', 'all'),
        ('semi', 'all'),
    ]
    methods['semi']['splits'] = ['1_3']
    with pytest.raises(ValueError, match="methods.semi.splits '1_3' is unknown"):
        read(tmp_path, methods=methods, splits=splits)
