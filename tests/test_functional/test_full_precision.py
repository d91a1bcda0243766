# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.functional.precision import full_precision


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_precision_is_raised_and_never_lowered(dtype):
    given = torch.ones(2, dtype=dtype, requires_grad=True)
    made = full_precision(given)
    assert made.dtype == max(dtype, torch.float32, key=lambda kind: torch.finfo(kind).bits)
    assert made.requires_grad and (made is given) == (made.dtype == dtype)
