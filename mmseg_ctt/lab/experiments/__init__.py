# Copyright (c) mmseg_ctt contributors.
"""Matrices of runs: what ``tools/analysis_tools/run_matrix.py`` is made of."""

from .matrix import Cell, Matrix, read_matrix

__all__ = ['Cell', 'Matrix', 'read_matrix']
