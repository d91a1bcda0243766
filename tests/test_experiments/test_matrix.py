# Copyright (c) mmseg_ctt contributors.
from pathlib import Path

import pytest
import yaml

from mmseg_ctt.engine.method_preset import preset_names
from mmseg_ctt.lab.experiments.matrix import read_matrix
from mmseg_ctt.lab.experiments.selection import select

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


def test_seeds_of_a_method(tmp_path):
    """Those of the split come first, then those of the method, then those of the file."""
    methods = dict(a=dict(config='a.py', seeds=[3, 4]), b=dict(config='b.py'))
    splits = dict(s=None, t=dict(seeds=dict(a=[7])))
    cells = read(tmp_path, methods=methods, splits=splits).cells
    assert [(cell.method, cell.split, cell.seed) for cell in cells] == [
        ('a', 's', 3),
        ('b', 's', 0),
        ('a', 't', 7),
        ('b', 't', 0),
        ('a', 's', 4),
    ]


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
        (
            dict(methods=dict(a=dict(config='a.py', seeds=3)), splits=dict(s=None)),
            'seeds of a on s must be a list of numbers, got 3',
        ),
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
        (dict(per_class=1), 'per_class must be true or false, got 1'),
        (dict(presets=['ctt']), 'presets. must be a mapping'),
        (dict(presets=dict(without=['x'])), "presets.without 'x' is unknown"),
        (dict(presets=dict(without='semivl')), "without must be a list of names, got 'semivl'"),
        (dict(splits=dict(a=dict(methods='semi'))), 'splits.a.methods must be a list of names'),
        (
            dict(methods=dict(a=dict(config='a.py', splits='s')), splits=dict(s=None)),
            "methods.a.splits must be a list of names, got 's'",
        ),
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
    elif path.stem in ('league_double', 'league_longer', 'league_rates'):
        rows = {'supervised', 'ctt_plus'}
    elif path.stem.startswith('league'):
        rows = set(preset_names()) - {'semivl'}
    elif path.stem.startswith('recipe'):
        rows = {'supervised', 'no_contrast', 'both_teachers'}
    elif path.stem == 'guard':
        rows = {'supervised', 'ctt_plus_patience_1', 'ctt_plus_patience_2'}
    elif not path.stem.endswith('small'):
        rows |= {'ensemble', 'ct_hc', 'ct_lc'}
    assert rows <= {cell.method for cell in matrix.cells}
    full = {split: matrix.full_of(split) for split in dict.fromkeys(c.split for c in matrix.cells)}
    # ClassMix has a length of its own in `league_longer`
    longer = path.stem == 'league_longer'
    alone = {split for split in full if not (longer and split.endswith('_x2'))}
    assert {cell.split for cell in matrix.cells if cell.method == 'supervised'} == alone
    assert set(filter(None, full.values())) <= set(full)
    assert all((repo_root / cell.config).is_file() for cell in matrix.cells)
    assert len({str(cell) for cell in matrix.cells}) == len(matrix.cells)
    assert matrix.baseline == 'supervised' and (matrix.full_labels == 'all') == matrix.per_class


def questions(**changes):
    content = dict(
        methods=dict(plain=None, semi=dict(cfg_options={'method': 'fixmatch'})),
        splits={
            'photos': dict(config='photos_{split}.py', full_labels='photos_all'),
            'photos_all': dict(config='photos.py', methods=['plain']),
            'slices': dict(config='slices.py'),
        },
        per_class=False,
        **changes,
    )
    return content


def test_splits_of_different_data(tmp_path):
    """The config is that of the split, and the row is an option."""
    matrix = read(tmp_path, **questions())
    assert [(cell.method, cell.split, cell.config) for cell in matrix.cells] == [
        ('plain', 'photos', 'photos_photos.py'),
        ('semi', 'photos', 'photos_photos.py'),
        ('plain', 'photos_all', 'photos.py'),
        ('plain', 'slices', 'slices.py'),
        ('semi', 'slices', 'slices.py'),
    ]
    assert matrix.cells[1].options['method'] == 'fixmatch' and not matrix.per_class
    assert matrix.full_of('photos') == 'photos_all' and matrix.full_of('slices') is None
    assert read(tmp_path, **questions(full_labels='slices')).full_of('slices') == 'slices'


def test_every_preset_is_a_row(tmp_path):
    matrix = read(tmp_path, **questions(presets=dict(without=['semivl'])))
    rows = {cell.method: cell.options.get('method') for cell in matrix.cells}
    presets = set(preset_names()) - {'semivl'}
    assert set(rows) == {'plain', 'semi', *presets} and rows['ctt_plus'] == 'ctt_plus'
    assert set(preset_names()) <= {
        c.method for c in read(tmp_path, **questions(presets=None)).cells
    }
    given = questions(presets=None)
    given['methods']['cps'] = dict(cfg_options={'method': 'cps', 'a': 1})
    cells = read(tmp_path, **given).cells
    assert next(cell for cell in cells if cell.method == 'cps').options['a'] == 1


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(full_labels='x'), "splits.photos.full_labels 'x' is unknown"),
        (dict(config=None), 'methods.plain.config is missing'),
        (dict(config='a.py', methods=['own']), 'methods.own.config is also in splits.photos'),
    ],
)
def test_errors_of_splits(tmp_path, changes, words):
    given = questions()
    given['methods']['own'] = dict(config='own.py', splits=['photos'])
    split = {'methods': ['plain'], **given['splits']['photos'], **changes}
    given['splits']['photos'] = {key: value for key, value in split.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        read(tmp_path, **given)


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
