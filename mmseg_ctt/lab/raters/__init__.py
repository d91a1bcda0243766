# Copyright (c) mmseg_ctt contributors.
"""Experiments with several raters: hidden annotations, simulated raters."""
