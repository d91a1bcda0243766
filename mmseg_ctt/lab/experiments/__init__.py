# Copyright (c) mmseg_ctt contributors.
"""Matrices of runs, for ``tools/analysis_tools/run_matrix.py``."""

from .matrix import Cell, Matrix, read_matrix

__all__ = ['Cell', 'Matrix', 'read_matrix']
