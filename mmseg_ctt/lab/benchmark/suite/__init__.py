# Copyright (c) mmseg_ctt contributors.
"""All benchmarks by one command: what is measured, each part in a process of its own, the page."""
