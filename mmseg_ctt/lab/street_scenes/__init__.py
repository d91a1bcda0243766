# Copyright (c) mmseg_ctt contributors.
"""Procedural street scenes, a data set that a seed generates."""
