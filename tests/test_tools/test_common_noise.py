# Copyright (c) mmseg_ctt contributors.
"""Warnings of other packages that scripts do not print."""

import re
import subprocess
import sys
import warnings

import pytest
from scripts import TOOLS

from mmseg_ctt.noise import WARNINGS

CODE = """
import sys, warnings
sys.path.insert(0, {tools!r})
import _common
def main():
    _common.read_config('ctt_deeplabv3plus_streets_1-8.py')
    from mmseg.evaluation import IoUMetric
    IoUMetric()
    from mmseg.models.decode_heads import FCNHead
    FCNHead(in_channels=4, channels=4, num_classes=2)
    from mmengine.logging import print_log
    print_log('a warning that counts', 'current', 30)
    warnings.warn('another one')
_common.run(main)
"""


def test_warnings_that_a_user_cannot_act_on():
    code = CODE.format(tools=str(TOOLS))
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert done.returncode == 0 and 'a warning that counts' in printed, printed
    assert 'UserWarning: another one' in printed
    for words in ('prefix is not set', 'binary segmentation', 'build_loss', 'avg_non_ignore'):
        assert words not in printed, words
    assert printed.count('Warning: ') == 1, printed


@pytest.mark.parametrize('noise', WARNINGS, ids=lambda noise: noise.message[:20])
def test_each_has_a_reason_and_is_filtered_in_the_tests_too(noise):
    assert noise.reason and re.compile(noise.message)
    found = [entry for entry in warnings.filters if entry[2] is noise.category and entry[1]]
    assert [entry for entry in found if entry[1].pattern == noise.message.replace(':', r'\x3a')]
