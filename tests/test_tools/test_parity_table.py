# Copyright (c) mmseg_ctt contributors.
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shared_folder import shared_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/parity_table')


def run(tool, folder, cwd):
    """In a process of its own: the tool runs pytest."""
    return subprocess.run(
        [sys.executable, str(tool.path), str(folder)], cwd=cwd, capture_output=True, text=True
    )


def test_table_of_largest_errors(tool):
    errors = {
        ('b', 'one'): {'x': {'loss': 1e-7, 'gradient': 3e-7}, 'y': {'loss': 2e-7}, 'z': {}},
        ('a', 'two'): {'x': {'mismatches': 0}},
    }
    stated = {('b', 'one'): ('1e-5', '2e-5'), ('a', 'two'): ('exact', 'not stated')}
    assert tool.module.table(errors, stated)[2:] == [
        '| a | two | 1 | 0 | exact | - | - |',
        '| b | one | 3 | 2.0e-07 | 1e-5 | 3.0e-07 | 2e-5 |',
    ]
    assert tool.module.table(errors, {}, by_case=True)[3:] == [
        '| b | one | x | 1.0e-07 | not stated | 3.0e-07 | not stated |',
        '| b | one | y | 2.0e-07 | not stated | - | - |',
        '| b | one | z | - | not stated | - | - |',
    ]


def test_tolerances_are_read_from_the_notes(tool, tmp_path):
    (tmp_path / 'ctt').mkdir()
    (tmp_path / 'ctt' / 'README.md').write_text(
        '## one.npz\n\n- **Notes**: 9e-9\n- **Tolerance (float32)**: rtol 1e-5 on the loss; '
        'gradient within 3e-5; rate 1e-6.\n\n## two.npz\n\n'
        '- **Tolerance (float32)**: exact (copies).\n'
    )
    assert tool.module.stated_tolerances(tmp_path) == {
        ('ctt', 'one'): ('1e-5', '3e-5'),
        ('ctt', 'two'): ('exact', 'not stated'),
    }


def test_missing_folder_is_one_line(tool, tmp_path):
    done = run(tool, tmp_path / 'nowhere', cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert re.fullmatch(r'error: no fixtures .*nowhere: give the folder.*\n', done.stderr)


def write_fixture(folder, value):
    """A file of two cases whose values are right if ``value`` is the mean of its labels."""
    (folder / 'ctt').mkdir()
    arrays = {}
    for case in ('small', 'large'):
        case_arrays = dict(
            base_lr=1.0, max_iter=2, power=1.0, iterations=np.arange(2), lr=[1.0, value]
        )
        arrays.update({f'{case}__{key}': array for key, array in case_arrays.items()})
    np.savez(folder / 'ctt' / 'lr_poly.npz', cases=['small', 'large'], **arrays)


def test_another_set_runs_with_the_cases_that_it_holds(tool, tmp_path):
    write_fixture(tmp_path, 0.5)
    done = run(tool, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines()[2:] if line.startswith('|')]
    assert row.startswith('| ctt | lr_poly | 2 | ')


def test_what_fails_is_named(tool, tmp_path):
    write_fixture(tmp_path, 0.6)
    done = run(tool, tmp_path, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert re.fullmatch(
        r'error: test_lr_poly\[small\], test_lr_poly\[large\] failed: see pytest tests/parity\n',
        done.stderr,
    )


def test_document_holds_the_table(tool, tmp_path):
    """Every row but the figures, which may differ in the last digits on another machine."""
    oracles = ROOT.parent / 'shared' / 'oracles'
    in_use = (shared_folder() / 'oracles').resolve() == oracles.resolve()
    if not in_use or not oracles.is_dir():
        pytest.skip(
            f'the document holds the errors of {oracles}, which is missing or not in use; the '
            'other tests of this file make the table from outputs of their own'
        )
    text = (ROOT / 'docs' / 'parity.md').read_text()
    done = run(tool, oracles, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith('|')]
    assert len(rows) > 25
    for row in rows:
        assert row.rsplit(' | ', 4)[0] in text


def test_named_tests_exist():
    text = (ROOT / 'docs' / 'parity.md').read_text()
    named = re.findall(r'`(tests/[a-z_0-9/]+\.py)`', text)
    assert len(named) > 40
    for name in named:
        assert 'def test_' in (ROOT / name).read_text(), name
