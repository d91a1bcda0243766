# Copyright (c) mmseg_ctt contributors.
"""What no training needs: benchmarks, reports, experiments, generated street scenes."""
