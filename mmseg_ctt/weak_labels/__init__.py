# Copyright (c) mmseg_ctt contributors.
"""Masks from image-level tags: saliency, and rules that join it with class maps (numpy)."""
