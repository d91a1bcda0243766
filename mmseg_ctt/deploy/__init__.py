# Copyright (c) mmseg_ctt contributors.
"""Trained models in use: Python API, export to plain mmseg and ONNX."""
