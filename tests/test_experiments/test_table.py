# Copyright (c) mmseg_ctt contributors.
import math

import pytest

from mmseg_ctt.lab.experiments.matrix import Cell, Matrix
from mmseg_ctt.lab.experiments.table import Table, gap_ratio, scores, summarize


def row(method, split, seed, member, miou, eval_set='val', car=0.0):
    return {
        'method': method,
        'split': split,
        'seed': str(seed),
        'member': member,
        'eval_set': eval_set,
        'miou': f'{miou:.2f}',
        'iou_car': f'{car:.2f}',
    }


ROWS = [
    row('supervised', 's', 0, 'model', 30, car=10),
    row('supervised', 's', 1, 'model', 34, car=20),
    row('supervised', 's', 0, 'model', 99, 'test'),
    row('supervised', 'all', 0, 'model', 52),
    row('ctt', 's', 0, 'student0', 38),
    row('ctt', 's', 0, 'student1', 40),
    row('ctt', 's', 0, 'teacher0', 41, car=50),
    row('ctt', 's', 0, 'teacher1', 43),
    row('ctt', 's', 0, 'ensemble', 44),
    row('ctt', 's', 1, 'student0', 36),
    row('ctt', 's', 1, 'student1', 38),
    row('ctt', 's', 1, 'teacher0', 43, car=60),
    row('ctt', 's', 1, 'teacher1', 45),
    row('ctt', 's', 1, 'ensemble', 47),
    row('mutual', 's', 0, 'student0', 32),
    row('mutual', 's', 0, 'student1', 36),
    row('mutual', 's', 0, 'ensemble', 37),
]
MATRIX = Matrix(
    cells=[
        Cell(method, split, 0, 'c.py', {})
        for method, split in (
            ('supervised', 's'),
            ('mutual', 's'),
            ('ctt', 's'),
            ('supervised', 'all'),
        )
    ],
    members={},
    eval_sets=('val',),
    out='',
    work_dir='',
    baseline='supervised',
    full_labels='all',
)


@pytest.mark.parametrize(
    'member, expected',
    [
        (None, {0: 41, 1: 43}),
        ('ensemble', {0: 44, 1: 47}),
        ('student1', {0: 40, 1: 38}),
        ('students', {0: 39, 1: 37}),
        ('teachers', {0: 42, 1: 44}),
        ('teacher2', {}),
    ],
)
def test_member_that_stands_for_a_method(member, expected):
    assert scores(ROWS, 'ctt', 's', 'val', member) == expected
    assert scores(ROWS, 'supervised', 's', 'val', member) == {0: 30, 1: 34}


def test_without_teachers_the_first_student_stands():
    assert scores(ROWS, 'mutual', 's', 'val') == {0: 32}
    assert scores(ROWS, 'mutual', 's', 'val', 'teachers') == {}


def test_summary():
    one = summarize([30.0, 34.0, 38.0])
    assert (one.mean, one.spread, one.number) == (34, 4, 3)  # (16 + 0 + 16) / 2 = 4 * 4
    assert math.isnan(summarize([30.0]).spread) and math.isnan(summarize([]).mean)


def test_gap_ratio():
    assert gap_ratio(42, 32, 52) == 0.5
    assert gap_ratio(30, 32, 52) == pytest.approx(-0.1)
    assert math.isnan(gap_ratio(42, 52, 52)) and math.isnan(gap_ratio(42, math.nan, 52))


def test_table_by_hand():
    """supervised 32 on s and 52 on all; CTT 42: half of the gap; mutual 32: none of it."""
    text = Table(MATRIX, ROWS).miou('val')
    assert text.splitlines()[2:] == [
        '| method | s | all |',
        '| --- | --- | --- |',
        '| supervised | 32.00 ± 2.83 (2) | 52.00 (1) |',
        '| mutual | 32.00 (1), 10% | - |',
        '| ctt | 42.00 ± 1.41 (2), 50% | - |',
    ]
    assert 'sample standard deviation' in text and 'else teacher0' in text
    chosen = Table(MATRIX, ROWS, 'ensemble').miou('val')
    assert '| ctt | 45.50 ± 2.12 (2), 68% | - |' in chosen and 'member: ensemble' in chosen
    assert '| supervised | 99.00 (1) | - |' in Table(MATRIX, ROWS).miou('test')


def test_gap_of_splits_with_full_labels_of_their_own():
    """A split without any has no gap; s has that of `all`."""
    cells = [*MATRIX.cells, Cell('supervised', 'other', 0, 'c.py', {})]
    full = dict(full_labels=None, full_by_split={'s': 'all'})
    table = Table(Matrix(**{**MATRIX.__dict__, **full, 'cells': cells}), ROWS)
    assert table.closed_gap('ctt', 's', 'val') == 0.5
    assert math.isnan(table.closed_gap('ctt', 'other', 'val'))
    assert math.isnan(table.closed_gap('supervised', 's', 'val'))
    assert table.share('ctt', 's', 'val') == 0.5 and table.share('supervised', 's', 'val') == 0
    assert 'on the split and on all; the gain is that of the same seeds.' in table.miou('val')


def test_the_gain_is_that_of_the_same_seeds():
    """Seed 0 of the baseline is 2 points below its mean; that is no merit of `mutual`."""
    assert Table(MATRIX, ROWS).share('mutual', 's', 'val') == pytest.approx((32 - 30) / (52 - 32))
    more = [*ROWS, row('supervised', 'all', 1, 'model', 60)]
    assert Table(MATRIX, more).share('mutual', 's', 'val') == pytest.approx((32 - 30) / (56 - 32))
    assert Table(MATRIX, more).share('ctt', 's', 'val') == pytest.approx((42 - 32) / (56 - 32))
    low = [*ROWS, row('supervised', 's', 2, 'model', 20)]  # no gain of seeds 0 and 1
    assert Table(MATRIX, low).share('ctt', 's', 'val') == pytest.approx((42 - 32) / (52 - 28))
    other = [one for one in ROWS if (one['method'], one['seed']) != ('supervised', '0')]
    assert math.isnan(Table(MATRIX, other).share('mutual', 's', 'val'))


def test_member_of_the_file():
    matrix = Matrix(**{**MATRIX.__dict__, 'members': {'ctt': 'ensemble'}})
    text = Table(matrix, ROWS).miou('val')
    assert '| ctt | 45.50' in text and 'member: ensemble for ctt; else' in text


def test_classes():
    lines = Table(MATRIX, ROWS).classes('s', 'val').splitlines()
    assert lines[2:] == [
        '| method | car |',
        '| --- | --- |',
        '| supervised | 15.0 |',
        '| mutual | 0.0 |',
        '| ctt | 55.0 |',
    ]


def test_classes_of_an_unknown_split():
    with pytest.raises(ValueError, match='--classes t: the matrix has no such split; known are s'):
        Table(MATRIX, ROWS).classes('t', 'val')


def test_no_rows():
    assert '| ctt | - | - |' in Table(MATRIX, []).miou('val')
    assert Table(MATRIX, []).classes('s', 'val').startswith('IoU per class')
