# Copyright (c) mmseg_ctt contributors.
"""What a training step costs, and what its parts cost beside the published forms.

Nothing here is imported by a training run; the tools ``benchmark_step.py`` and
``benchmark_parts.py`` are its users.
"""
