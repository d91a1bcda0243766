# Copyright (c) mmseg_ctt contributors.
"""Slow, obvious restatements of the formulae: plain loops in float64."""
