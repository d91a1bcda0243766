# Copyright (c) mmseg_ctt contributors.
"""Pickled orders of images, as ClassMix and CTT publish them, read without running their code."""

import pickle
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from .lists import PathLike


def _bytes_of(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as old pickle protocols call it, for latin1 alone."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'encoding {encoding!r} is not allowed')
    return text.encode('latin1')


def _array_symbols() -> Dict[Tuple[str, str], Any]:
    """Functions that rebuild arrays, under their old and new names."""
    # Taken from numpy objects, so that no private module has to be imported.
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.int64(0).__reduce__()[0]
    frombuffer = np.zeros(1).__reduce_ex__(5)[0]
    symbols = {
        ('numpy', 'ndarray'): np.ndarray,
        ('numpy', 'dtype'): np.dtype,
        ('_codecs', 'encode'): _bytes_of,
    }
    for core in ('numpy.core', 'numpy._core'):
        symbols[(f'{core}.multiarray', '_reconstruct')] = reconstruct
        symbols[(f'{core}.multiarray', 'scalar')] = scalar
        symbols[(f'{core}.numeric', '_frombuffer')] = frombuffer
    return symbols


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that rebuilds numpy arrays and calls nothing else."""

    symbols = _array_symbols()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.symbols:
            raise pickle.UnpicklingError(
                f'refused to call {module}.{name}; only numpy arrays are read'
            )
        return self.symbols[(module, name)]


def read_permutation(path: PathLike) -> np.ndarray:
    """Read a pickled permutation without running code of the file.

    Args:
        path (str | Path): A pickle of a 1-D integer array or list holding
            each of 0 to N - 1 once.

    Returns:
        np.ndarray: int64 ``(N,)``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the pickle calls anything but the reconstruction of an
            array (the message names it), or is no such permutation.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the permutation {path} does not exist')
    try:
        with path.open('rb') as stream:
            order = np.asarray(_ArrayUnpickler(stream).load())
    except Exception as error:  # a broken pickle can raise nearly anything
        raise ValueError(f'{path} cannot be read as a pickled permutation: {error}') from None
    whole = order.ndim == 1 and order.dtype.kind in 'iu' and order.size > 0
    if not whole or not np.array_equal(np.sort(order), np.arange(order.size)):
        raise ValueError(
            f'{path} does not hold a permutation of 0 to N - 1, '
            f'but {order.dtype} of shape {order.shape}'
        )
    return order.astype(np.int64)
