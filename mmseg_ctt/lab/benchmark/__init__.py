# Copyright (c) mmseg_ctt contributors.
"""Benchmarks of a training step, of its parts against released code, and of an evaluation.

A training run imports nothing of it; the tools ``benchmark_step.py``, ``benchmark_parts.py`` and
``benchmark_evaluation.py`` do.
"""
