# Copyright (c) mmseg_ctt contributors.
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        'one': {'a': {'loss': 1e-7, 'gradient': 3e-7}, 'b': {'loss': 2e-7}, 'c': {}},
        'two': {'a': {'mismatches': 0}},
    }
    assert tool.module.table(errors, {'one': ['1e-5', '2e-5'], 'two': ['exact']})[2:] == [
        '| one | 2 of 3 | 2.0e-07 | 1e-5 | 3.0e-07 | 2e-5 |',
        '| two | 1 of 1 | 0 | exact | - | - |',
    ]


def test_tolerances_are_read_from_the_notes(tool, tmp_path):
    (tmp_path / 'README.md').write_text(
        '## one.npz\n\n- **Notes**: 9e-9\n- **Tolerance (float32)**: rtol 1e-5 on the loss; '
        'gradient within 3e-5.\n\n## two.npz\n\n- **Tolerance (float32)**: exact (copies).\n'
    )
    assert tool.module.stated_tolerances(tmp_path / 'README.md') == {
        'one': ['1e-5', '3e-5'],
        'two': ['exact'],
    }
    assert tool.module.stated_tolerances(tmp_path / 'none.md') == {}


def test_missing_folder_is_one_line(tool, tmp_path):
    done = run(tool, tmp_path / 'nowhere', cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert re.fullmatch(r'error: no fixtures .*nowhere: give the folder.*\n', done.stderr)


def test_what_fails_is_named(tool, tmp_path):
    """An empty folder of fixtures: every comparison is collected, and fails."""
    (tmp_path / 'ctt').mkdir()
    (tmp_path / 'ctt' / 'other.npz').touch()
    done = run(tool, tmp_path, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert re.fullmatch(
        r'error: .*test_contr_self_loss\[base_t01\], .* failed: see pytest '
        r'tests/test_parity.py\n',
        done.stderr,
    )


def test_document_holds_the_table_and_names_tests_that_exist(tool, shared_dir, tmp_path):
    """Every row but the figures, which may differ in the last digits on another machine."""
    text = (ROOT / 'docs' / 'parity.md').read_text()
    done = run(tool, shared_dir / 'oracles', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith('|')]
    assert len(rows) > 5
    for row in rows:
        assert row.rsplit(' | ', 4)[0] in text


def test_named_tests_exist():
    text, file = (ROOT / 'docs' / 'parity.md').read_text(), None
    named = re.findall(r'`([a-z_/]*)::([a-z_0-9]+)`', text)
    assert len(named) > 40
    for where, test in named:
        file = where or file
        folder, _, name = file.rpartition('/')
        path = ROOT / 'tests' / (f'test_{folder}' if folder else '') / f'test_{name}.py'
        assert f'def test_{test}(' in path.read_text(), f'{file}::{test}'
