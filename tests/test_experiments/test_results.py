# Copyright (c) mmseg_ctt contributors.
import csv
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from mmseg_ctt.lab.experiments.matrix import Cell
from mmseg_ctt.lab.experiments.results import (
    END,
    make_rows,
    merge_rows,
    missing_sets,
    mixed_lists,
    outdated,
    put_rows,
    read_rows,
)
from mmseg_ctt.lab.experiments.results import rows_of as rows_of_cells


def rows_of(
    method='ctt', seed=0, eval_set='val', digest='abc', value=50.0, classes=('a', 'b'), seconds='x'
):
    cell = Cell(method, 's', seed, 'c.py', {})
    facts = {**dict.fromkeys(END, 'x'), 'config_hash': digest, 'seconds': seconds}
    scores = {
        member: {'mIoU': value + i, **dict.fromkeys(classes, float('nan'))}
        for i, member in enumerate(('student0', 'teacher0'))
    }
    return make_rows(cell, eval_set, scores, facts)


def test_written_rows(tmp_path):
    path = tmp_path / 'new' / 'results.csv'
    assert read_rows(path) == []
    put_rows(path, rows_of())
    head, first, second = list(csv.reader(path.open()))
    assert head == ['method', 'split', 'seed', 'member', 'eval_set', 'miou', 'iou_a', 'iou_b', *END]
    assert first[:8] == ['ctt', 's', '0', 'student0', 'val', '50.00', 'nan', 'nan']
    assert second[3:6] == ['teacher0', 'val', '51.00'] and first[8] == 'abc'


def test_rows_of_the_same_run_are_replaced_and_others_kept(tmp_path):
    path = tmp_path / 'results.csv'
    for more in (rows_of(), rows_of(eval_set='test'), rows_of(seed=1), rows_of('mt')):
        put_rows(path, more)
    put_rows(path, rows_of(digest='new', value=60.0))
    rows = read_rows(path)
    assert len(rows) == 6  # the test set's rows came from the old config, and are gone too
    assert [row['miou'] for row in rows if row['config_hash'] == 'new'] == ['60.00', '61.00']
    cell = Cell('ctt', 's', 0, 'c.py', {})
    assert missing_sets(rows, cell, 'new', ['val', 'test']) == ['test']
    assert missing_sets(rows, cell, 'abc', ['val', 'test']) == ['val', 'test']
    put_rows(path, rows_of(digest='new', eval_set='test'))
    assert missing_sets(read_rows(path), cell, 'new', ['val', 'test']) == []
    assert missing_sets(rows, Cell('ctt', 's', 2, 'c.py', {}), 'abc', ['val']) == ['val']


def test_rows_of_another_training_with_the_same_config(tmp_path):
    """Such as those of another machine."""
    path = tmp_path / 'results.csv'
    put_rows(path, rows_of(seconds=100))
    put_rows(path, rows_of(eval_set='test', seconds=100))
    assert len(read_rows(path)) == 4
    put_rows(path, rows_of(eval_set='test', seconds=90))
    assert {(row['eval_set'], row['seconds']) for row in read_rows(path)} == {('test', '90')}


def test_rows_without_classes(tmp_path):
    """Data sets of other classes may be in one file then."""
    facts = {**dict.fromkeys(END, 'x'), 'config_hash': 'a'}
    for split, name in (('s', 'car'), ('t', 'cat')):
        scores = {'student0': {'mIoU': 50.0, name: 40.0}}
        cell = Cell('ctt', split, 0, 'c.py', {})
        put_rows(tmp_path / 'out.csv', make_rows(cell, 'val', scores, facts, per_class=False))
    rows = read_rows(tmp_path / 'out.csv')
    assert [row['split'] for row in rows] == ['s', 't']
    assert not any(key.startswith('iou_') for key in rows[0])


def test_other_classes_are_refused(tmp_path):
    put_rows(tmp_path / 'results.csv', rows_of())
    with pytest.raises(ValueError, match=r'iou_b, iou_c\): choose another file with --out'):
        put_rows(tmp_path / 'results.csv', rows_of(classes=('a', 'c')))
    assert len(read_rows(tmp_path / 'results.csv')) == 2


def test_classes_in_another_order_are_refused(tmp_path):
    put_rows(tmp_path / 'results.csv', rows_of())
    with pytest.raises(ValueError, match='the same in another order'):
        put_rows(tmp_path / 'results.csv', rows_of(classes=('b', 'a')))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / 'some.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='some.csv is no file of results: .* method, split'):
        read_rows(path)
    path.write_text('')
    assert read_rows(path) == []


def test_merged_rows_do_not_replace_those_of_the_config_of_today(tmp_path):
    path = tmp_path / 'results.csv'
    put_rows(path, [*rows_of(digest='new'), *rows_of(seed=1, digest='old')])
    current = {('ctt', 's', str(seed)): 'new' for seed in range(3)}
    assert outdated(read_rows(path), current) == ['ctt']
    merge_rows(
        path,
        [
            *rows_of(digest='old', value=1),
            *rows_of(seed=1, digest='new', value=2),
            *rows_of(seed=2, digest='old', value=3),
            *rows_of('mt', value=4),
        ],
        current,
    )
    got = {
        (row['method'], row['seed'], row['miou'], row['config_hash'])
        for row in read_rows(path)
        if row['member'] == 'student0'
    }
    assert got == {
        ('ctt', '0', '50.00', 'new'),
        ('ctt', '1', '2.00', 'new'),
        ('ctt', '2', '3.00', 'old'),
        ('mt', '0', '4.00', 'abc'),
    }
    merge_rows(path, rows_of(digest='new', value=5), current)
    assert '5.00' in {row['miou'] for row in read_rows(path)}


def test_rows_of_some_runs(tmp_path):
    path = tmp_path / 'results.csv'
    put_rows(path, [*rows_of(), *rows_of(seed=1), *rows_of('mt')])
    (kept,) = rows_of_cells(read_rows(path)[1:], [Cell('ctt', 's', 0, 'c.py', {})])
    assert (kept['method'], kept['seed'], kept['member']) == ('ctt', '0', 'teacher0')


def test_splits_of_runs_on_different_lists():
    rows = [
        dict(split=split, split_checksum=checksum)
        for split, checksum in (('s', 'a'), ('t', 'b'), ('s', 'c'), ('t', 'b'))
    ]
    assert mixed_lists(rows) == ['s'] and mixed_lists([]) == []


def put_some(arguments):
    path, number = arguments
    for seed in range(10 * number, 10 * number + 10):
        put_rows(path, rows_of(seed=seed))


def test_processes_lose_no_rows(tmp_path):
    path = tmp_path / 'results.csv'
    with ProcessPoolExecutor(4, mp_context=get_context('fork')) as pool:
        list(pool.map(put_some, [(path, number) for number in range(4)]))
    rows = read_rows(path)
    assert sorted({int(row['seed']) for row in rows}) == list(range(40)) and len(rows) == 80
    assert [file.name for file in tmp_path.iterdir() if 'lock' not in file.name] == [path.name]
