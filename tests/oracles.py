# Copyright (c) mmseg_ctt contributors.
"""What released code gives on stored inputs (``oracles/<method>``), and how close ours is."""
from pathlib import Path
from types import SimpleNamespace
from typing import Sequence

import numpy as np
import torch
from torch import Tensor


def read_case(file: Path, case: str, known: Sequence[str]) -> SimpleNamespace:
    """Arrays of one case as tensors, scalars as Python numbers; the file holds the known cases."""
    with np.load(file) as stored:
        assert sorted(stored['cases']) == sorted(known)
        arrays = {key.split('__', 1)[1]: stored[key] for key in stored.files
                  if key.startswith(f'{case}__')}
    return SimpleNamespace(**{key: _value(array) for key, array in arrays.items()})


def _value(array: np.ndarray):
    if array.ndim == 0:
        return array.item()
    return torch.from_numpy(array) if array.dtype.kind in 'biuf' else array.tolist()


def close_to_largest(got: Tensor, want: Tensor, tolerance: float) -> float:
    """Error over the largest absolute entry, after a check that it is within tolerance."""
    want = torch.as_tensor(want, dtype=torch.float64)
    largest = want.abs().max().item()
    assert largest > 0
    error = (torch.as_tensor(got).detach().double() - want).abs().max().item() / largest
    assert error <= tolerance
    return error
