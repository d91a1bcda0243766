# Copyright (c) mmseg_ctt contributors.
"""Tools apart from training: benchmarks, reports, experiments, generated street scenes."""
