# Copyright (c) mmseg_ctt contributors.
"""Volumes: reading and writing them, their slices along a plane, intensities."""
