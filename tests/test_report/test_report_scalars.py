# Copyright (c) mmseg_ctt contributors.
import json
import math

import pytest

from mmseg_ctt.lab.report.scalars import Curve, read_curves, without_noise


@pytest.fixture
def write(tmp_path):
    def write(name, *rows):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / 'scalars.json').write_text('\n'.join(lines))
        return folder

    return write


def test_keys_have_their_own_iterations(write):
    folder = write(
        'a',
        dict(loss=3.0, iter=10, step=10),
        dict(loss=2.0, iter=20, step=20),
        {'student0/mIoU': 12.5, 'step': 20},
        dict(loss=1.0, iter=30, step=30),
    )
    curves, damaged = read_curves([folder])
    assert curves == {
        'loss': Curve([10, 20, 30], [3.0, 2.0, 1.0]),
        'student0/mIoU': Curve([20], [12.5]),
    }
    assert damaged == 0


def test_resumed(write):
    """What was done after the checkpoint is done again: the later values count."""
    first = write(
        'a',
        *(dict(loss=float(i), step=i) for i in (10, 20, 30, 40)),
        dict(mIoU=1.0, step=20),
        dict(mIoU=2.0, step=40),
    )
    second = write(
        'b', *(dict(loss=float(-i), step=i) for i in (30, 40, 50)), dict(mIoU=3.0, step=40)
    )
    curves, _ = read_curves([first, second])
    assert curves['loss'] == Curve([10, 20, 30, 40, 50], [10, 20, -30, -40, -50])
    assert curves['mIoU'] == Curve([20, 40], [1.0, 3.0])


def test_scores_of_an_abandoned_branch(write):
    """A start from an earlier checkpoint, which ends before the next validation."""
    scores = [{'mIoU': 10.0, 'step': 20}, {'mIoU': 33.0, 'step': 40}, {'best': 1.0, 'step': 40}]
    first = write('a', *(dict(loss=float(i), step=i) for i in (10, 20, 30, 40)), *scores)
    second = write('b', dict(loss=-30.0, step=30), dict(loss=-35.0, step=35))
    curves, _ = read_curves([first, second])
    assert curves == {
        'loss': Curve([10, 20, 30, 35], [10, 20, -30, -35]),
        'mIoU': Curve([20], [10.0]),
    }


def test_a_score_at_the_first_iteration_of_a_start(write):
    """It is of the checkpoint that the start goes on from: the losses before it stay."""
    first = write('a', dict(loss=1.0, step=10), dict(loss=2.0, step=20), dict(loss=3.0, step=30))
    second = write('b', dict(mIoU=5.0, step=20), dict(loss=-3.0, step=30))
    curves, _ = read_curves([first, second])
    assert curves['loss'] == Curve([10, 20, 30], [1.0, 2.0, -3.0])
    assert curves['mIoU'] == Curve([20], [5.0])


def test_another_run_in_the_same_folder(write):
    old = write('a', dict(loss=9.0, step=10), dict(loss=8.0, step=20), dict(gone=1.0, step=20))
    new = write('b', dict(loss=5.0, step=10))
    tested = write('c')  # by tools/test.py: no scalars
    curves, _ = read_curves([old, new, tested])
    assert curves == {'loss': Curve([10], [5.0])}


def test_damaged_lines_and_nan(write):
    folder = write(
        'a',
        dict(loss=1.0, step=1),
        '[1, 2]',
        '{"loss": NaN, "step": 2}',
        '',
        dict(words='no number', step=2),
        '{"loss": 3.0, "st',
    )
    curves, damaged = read_curves([folder])
    assert list(curves) == ['loss'] and damaged == 2
    assert curves['loss'].steps == [1, 2] and math.isnan(curves['loss'].last)
    assert curves['loss'].best == 1.0
    assert math.isnan(Curve([1], [math.nan]).best)


def test_numbers_of_float32_are_read_as_they_were_meant(write):
    """mmengine writes scores of float32 with the digits of a float64."""
    folder = write('a', {'mIoU': 31.030000686645508, 'loss': 1.384213, 'step': 1})
    curves, _ = read_curves([folder])
    assert curves['mIoU'].last == 31.03 and curves['loss'].last == 1.384213
    for value in (0.1, 1e300, -math.inf, 16777217.0, 12.5):
        assert without_noise(value) == value
    assert math.isnan(without_noise(math.nan))
