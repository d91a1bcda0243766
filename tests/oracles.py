# Copyright (c) mmseg_ctt contributors.
"""What released code gives on stored inputs (``oracles/<method>``), and how close ours is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Dict, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor


class ReleasedCode:
    """The stored files of one method.

    Args:
        method: The folder.
        files: The cases each file must hold, under the file's name.
    """

    def __init__(self, method: str, files: Dict[str, Sequence[str]]) -> None:
        self.method = method
        self.files = files

    def cases(self, file: str) -> pytest.MarkDecorator:
        """The test runs with every ``case`` of the file."""
        return pytest.mark.parametrize('case', self.files[file])

    def load(self, shared_dir: Path, file: str, case: str) -> SimpleNamespace:
        """Arrays of one case as tensors, scalars as Python numbers."""
        with np.load(shared_dir / 'oracles' / self.method / f'{file}.npz') as stored:
            assert sorted(stored['cases']) == sorted(self.files[file])
            arrays = {
                key.split('__', 1)[1]: stored[key]
                for key in stored.files
                if key.startswith(f'{case}__')
            }
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
