# Copyright (c) mmseg_ctt contributors.
"""What a training step costs, its parts beside the published forms, and an evaluation.

Nothing here is imported by a training run; the tools ``benchmark_step.py``, ``benchmark_parts.py``
and ``benchmark_evaluation.py`` are its users.
"""
