# Copyright (c) mmseg_ctt contributors.
import csv
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from mmseg_ctt.experiments.matrix import Cell
from mmseg_ctt.experiments.results import END, make_rows, missing_sets, put_rows, read_rows


def rows_of(method='ctt', seed=0, eval_set='val', digest='abc', value=50.0, classes=('a', 'b')):
    cell = Cell(method, 's', seed, 'c.py', {})
    facts = {**dict.fromkeys(END, 'x'), 'config_hash': digest}
    scores = {member: {'mIoU': value + i, **dict.fromkeys(classes, float('nan'))}
              for i, member in enumerate(('student0', 'teacher0'))}
    return make_rows(cell, eval_set, scores, facts)


def test_written_rows(tmp_path):
    path = tmp_path / 'new' / 'results.csv'
    assert read_rows(path) == []
    put_rows(path, rows_of())
    head, first, second = list(csv.reader(path.open()))
    assert head == ['method', 'split', 'seed', 'member', 'eval_set', 'miou', 'iou_a', 'iou_b',
                    *END]
    assert first[:8] == ['ctt', 's', '0', 'student0', 'val', '50.00', 'nan', 'nan']
    assert second[3:6] == ['teacher0', 'val', '51.00'] and first[8] == 'abc'


def test_rows_of_the_same_run_are_replaced_and_others_kept(tmp_path):
    path = tmp_path / 'results.csv'
    for more in (rows_of(), rows_of(eval_set='test'), rows_of(seed=1), rows_of('mt')):
        put_rows(path, more)
    put_rows(path, rows_of(digest='new', value=60.0))
    rows = read_rows(path)
    assert len(rows) == 8
    assert [row['miou'] for row in rows if row['config_hash'] == 'new'] == ['60.00', '61.00']
    cell = Cell('ctt', 's', 0, 'c.py', {})
    assert missing_sets(rows, cell, 'new', ['val', 'test']) == ['test']
    assert missing_sets(rows, cell, 'abc', ['val', 'test']) == ['val']
    assert missing_sets(rows, Cell('ctt', 's', 2, 'c.py', {}), 'abc', ['val']) == ['val']


def test_other_classes_are_refused(tmp_path):
    put_rows(tmp_path / 'results.csv', rows_of())
    with pytest.raises(ValueError, match=r'iou_b, iou_c\): choose another file with --out'):
        put_rows(tmp_path / 'results.csv', rows_of(classes=('a', 'c')))
    assert len(read_rows(tmp_path / 'results.csv')) == 2


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
