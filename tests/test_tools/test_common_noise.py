# Copyright (c) mmseg_ctt contributors.
"""Warnings of mmengine and mmseg that scripts do not print."""

import subprocess
import sys

from scripts import TOOLS

CODE = """
import sys, warnings
sys.path.insert(0, {tools!r})
import _common
def main():
    _common.read_config('ctt_deeplabv3plus_streets_1-8.py')
    from mmseg.evaluation import IoUMetric
    IoUMetric()
    from mmengine.logging import print_log
    print_log('a warning that counts', 'current', 30)
    warnings.warn('For binary segmentation, we suggest using `out_channels = 1`')
_common.run(main)
"""


def test_warnings_that_a_user_cannot_act_on():
    code = CODE.format(tools=str(TOOLS))
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert done.returncode == 0 and 'a warning that counts' in printed, printed
    assert 'prefix is not set' not in printed and 'binary segmentation' not in printed
