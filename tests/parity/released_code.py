# Copyright (c) mmseg_ctt contributors.
"""Values that released code gives on stored inputs, and comparisons with them.

A file ``oracles/<method>/<file>.npz`` of the shared folder has any number of cases; a test runs
with all that the file has. Another set of files with the same arrays is used by setting
``MMSEG_CTT_SHARED`` to its folder.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, List

import numpy as np
import pytest
import torch
from shared_folder import VARIABLE, shared_folder
from torch import Tensor

DOUBLE = 1e-6  # tolerance of cases that only double precision can compute


def fixtures_folder() -> Path:
    """``oracles`` of the shared folder, or the shared folder itself if it has none."""
    folder = shared_folder()
    return folder / 'oracles' if (folder / 'oracles').is_dir() else folder


class Data(SimpleNamespace):
    """Arrays of a case as tensors, scalars as Python numbers, all by their names in the file."""

    dtype = torch.float32

    def __contains__(self, name: str) -> bool:
        return name in vars(self)

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def tolerance(self, stated: float) -> float:
        """The stated one, or that of double precision where the case needs it."""
        return min(stated, DOUBLE) if self.dtype == torch.float64 else stated


class Case:
    """A case of a file.

    Args:
        method: The folder.
        file: Name of the file without its suffix.
        name: Name of the case, prefix of its arrays.
    """

    def __init__(self, method: str, file: str, name: str) -> None:
        self.method, self.file, self.name = method, file, name

    def load(self, double: bool = False) -> Data:
        """Read the arrays anew; floats in double precision if asked for, or the case needs it."""
        path, prefix = fixtures_folder() / self.method / f'{self.file}.npz', f'{self.name}__'
        with np.load(path) as stored:
            arrays = {
                key[len(prefix) :]: stored[key] for key in stored.files if key.startswith(prefix)
            }
        data = Data(**{key: _value(array) for key, array in arrays.items()})
        if double or ('float64_only' in data and data.float64_only):
            data.dtype = torch.float64
            for key, value in vars(data).items():
                if isinstance(value, Tensor) and value.dtype == torch.float32:
                    setattr(data, key, value.double())
        return data


def _value(array: np.ndarray) -> Any:
    if array.ndim == 0:
        return array.item()
    return torch.from_numpy(array) if array.dtype.kind in 'biuf' else array.tolist()


def every_case(method: str, file: str, having: str = '') -> Callable:
    """Decorate a test to run with every ``case`` of a file; it is skipped without the file.

    With ``having``, the cases that have an array of this name.
    """
    cases = _cases(method, file, having)

    def decorate(test: Callable) -> Callable:
        return pytest.mark.parity(pytest.mark.parametrize('case', cases)(test))

    return decorate


def _cases(method: str, file: str, having: str) -> List[Any]:
    path = fixtures_folder() / method / f'{file}.npz'
    if not path.is_file():
        return _skipped(
            f'{path} does not exist: outputs of released code, which the repository may not hold; '
            f'set {VARIABLE} to the folder with oracles/{method}/{file}.npz. Without it '
            'tests/reference holds the same formulae'
        )
    with np.load(path) as stored:
        names = [
            name
            for name in stored['cases'].tolist()
            if not having or f'{name}__{having}' in stored.files
        ]
    assert names, f'no case of {path} has {having}: a name that is spelt wrong would test nothing'
    return [pytest.param(Case(method, file, name), id=name) for name in names]


def _skipped(reason: str) -> List[Any]:
    return [pytest.param(None, id='no-case', marks=pytest.mark.skip(reason=reason))]


def close(got: Any, want: Any, tolerance: float) -> float:
    """Error over the largest absolute entry, after a check that it lies in the tolerance.

    Where the largest entry is 0, the result must be 0 as well, up to 1e-7.
    """
    want = torch.as_tensor(want, dtype=torch.float64)
    error = (torch.as_tensor(got).detach().double() - want).abs()
    error = error.max().item() if error.numel() else 0.0
    largest = want.abs().max().item() if want.numel() else 0.0
    if largest == 0:
        assert error <= 1e-7
        return error
    assert error / largest <= tolerance, f'{error / largest:.2e} exceeds {tolerance:.0e}'
    return error / largest


def rows(feature: Tensor) -> Tensor:
    """``(B, D, h, w)`` to pixels ``(N, D)``."""
    return feature.permute(0, 2, 3, 1).flatten(0, 2)
