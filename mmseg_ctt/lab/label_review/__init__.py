# Copyright (c) mmseg_ctt contributors.
"""What to label next and which labels to check, from the networks of a run; spoilt masks as a test.

The steps need no extra; the pages are written by :mod:`mmseg_ctt.lab.report.galleries`.
"""
