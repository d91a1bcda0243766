# Copyright (c) mmseg_ctt contributors.
"""Tests that need a version of PyTorch; the sets of packages are in requirements/torch."""

import pytest
import torch

from mmseg_ctt.compat import _release

TORCH = _release(torch.__version__)


def needs_torch(major: int, minor: int, what: str) -> pytest.MarkDecorator:
    """Mark of a test that older versions skip, and what they lack."""
    older = TORCH < (major, minor)
    return pytest.mark.skipif(older, reason=f'PyTorch before {major}.{minor}: {what}')


COMPILE = needs_torch(2, 6, 'torch.compile does not trace these functions')
SCALER = needs_torch(2, 3, 'there is no gradient scaler for a CPU')
SAFE_GLOBALS = needs_torch(2, 6, 'a checkpoint may hold any code')
FUSED = needs_torch(2, 4, 'optimisers are not fused on a CPU')
GLOO_BOOL = needs_torch(2, 1, 'gloo does not broadcast boolean buffers')
RECORDED = needs_torch(2, 6, 'other numbers than those on record')
COUNTED = needs_torch(2, 6, 'operations have other names')
HALF = needs_torch(2, 6, 'no topk of half precision on a CPU')
