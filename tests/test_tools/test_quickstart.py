# Copyright (c) mmseg_ctt contributors.
"""Where the output of the quickstart goes; its scripts are stand-ins."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from scripts import TOOLS
from terminal import Terminal

PYTHON = """#!/usr/bin/env bash
case "$1" in
*/train.py)
    if [ -t 1 ]; then echo "to a terminal $4"; else echo "to a file $4"; fi
    if [ -e fails ]; then seq 9; echo 'error: no disk' >&2; exit 3; fi
    mkdir -p "$4"; echo iter_9.pth > "$4/last_checkpoint" ;;
*/compare_runs.py) echo "compared $2 $3"; echo 'the table' > "$5/comparison.md" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the script, whose Python does nothing."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'bin').mkdir()
    shutil.copy(TOOLS / 'quickstart.sh', tmp_path / 'tools')
    (tmp_path / 'tools' / 'setup_env.sh').write_text('PATH="$PWD/bin:$PATH"\n')
    python = tmp_path / 'bin' / 'python'
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def start(folder: Path, **output) -> subprocess.Popen:
    environment = {key: value for key, value in os.environ.items() if key != 'WORK_DIR'}
    return subprocess.Popen(['bash', folder / 'tools' / 'quickstart.sh'], env=environment, **output)


def test_to_a_file(folder):
    done = start(folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, _ = done.communicate()
    work = folder / 'work_dirs' / 'quickstart'
    assert done.returncode == 0 and 'the table' in output and 'to a' not in output, output
    for method in ('supervised', 'ctt-plus'):
        assert (work / method / 'train.log').read_text().startswith('to a file')
        assert f'training {method} (log: work_dirs/quickstart/{method}/train.log)' in output
    assert 'compared supervised=' in (work / 'compare.log').read_text()
    again, _ = start(folder, stdout=subprocess.PIPE, text=True).communicate()
    assert 'training' not in again and 'the table' in again


def test_in_a_terminal(folder):
    terminal = Terminal()
    code = start(folder, stdout=terminal.slave, stderr=terminal.slave).wait(timeout=60)
    terminal.close()
    text = '\n'.join(terminal.screen)
    assert code == 0 and text.count('to a terminal') == 2 and 'the table' in text, text
    assert 'compared' not in text, 'its output is in a file'
    assert not list(folder.rglob('train.log'))


def test_a_failure_ends_it_with_the_last_lines(folder):
    (folder / 'fails').touch()
    done = start(folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = done.communicate()
    assert done.returncode == 1
    assert errors.split() == '6 7 8 9 error: no disk'.split() and 'the table' not in output
    terminal = Terminal()
    code = start(folder, stdout=terminal.slave, stderr=terminal.slave).wait(timeout=60)
    terminal.close()
    assert code == 3 and 'error: no disk' in terminal.screen
