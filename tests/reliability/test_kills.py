# Copyright (c) mmseg_ctt contributors.
"""The harness runs in a process of its own, which forks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name('kill_harness.py')


@pytest.mark.parametrize('kills', [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_ends_as_one_left_in_peace(kills):
    done = subprocess.run(
        [sys.executable, str(HARNESS), '--kills', str(kills)], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = re.search(r'(\d+) kills, (\d+) of them while saving; (\d+) runs', done.stdout)
    assert int(told[1]) == kills and int(told[2]) >= kills // 4 and int(told[3]) >= 1
