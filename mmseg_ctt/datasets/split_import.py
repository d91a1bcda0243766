# Copyright (c) mmseg_ctt contributors.
"""Readers for the labelled lists that semi-supervised papers published.

Every reader gives mmsegmentation stems: ``2007_000032`` for VOC,
``aachen/aachen_000000_000019`` for Cityscapes.

Formats, by the repository that uses them:

* ``unimatch``: image path and mask path in one line.
* ``u2pl``: bare ids (VOC) or image paths (Cityscapes), or both paths.
* ``cps``: bare ids (VOC) or image and mask path between tabs (Cityscapes, all
  cities in one folder).
* ``pseudoseg``: bare ids.
* ``permutation``: a pickled order of the indices of a full list, the head of
  which is labelled (ClassMix, CTT).
* ``auto``: any of the text formats, detected line by line.
"""

import pickle
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from .image_files import IMAGE_SUFFIXES
from .split_files import PathLike, check_unique, read_lines

# Suffixes of the entries of a line; the lists of ACDC name one HDF5 file per slice.
ENTRY_SUFFIXES = IMAGE_SUFFIXES + ('.h5',)
# Numbers of entries that a line may have; the image comes before the mask.
FORMATS: Dict[str, Tuple[int, ...]] = dict(
    auto=(1, 2), unimatch=(1, 2), u2pl=(1, 2), cps=(1, 2), pseudoseg=(1,)
)
CITYSCAPES_ID = re.compile(r'^([a-z-]+)_\d{6}_\d{6}')


class ImportedSplit(NamedTuple):
    """Stems of a published split.

    Attributes:
        labeled (list[str]): Labelled stems in the published order.
        unlabeled (list[str]): Unlabelled stems, none of them labelled.
        num_dropped (int): Stems taken out of the published unlabelled list
            because they are labelled too.
    """

    labeled: List[str]
    unlabeled: List[str]
    num_dropped: int


def entry_to_stem(entry: str) -> str:
    """Stem of an image path or id of a published list.

    The folders of an image path are dropped, those of a bare id are kept;
    Cityscapes ids get the folder of their city.

    Args:
        entry (str): Such as ``JPEGImages/2007_000032.jpg``.

    Returns:
        str: The stem below the image folder, without suffix.
    """
    name = entry.replace('\\', '/').rsplit('/', 1)[-1]
    city = CITYSCAPES_ID.match(name)
    if city:
        return f'{city.group(1)}/{city.group(0)}'
    stem, dot, suffix = name.rpartition('.')
    if dot and f'.{suffix.lower()}' in ENTRY_SUFFIXES:
        return stem
    return entry.strip('/')


def read_text_list(path: PathLike, fmt: str = 'auto') -> List[str]:
    """Read a published text list as stems.

    Args:
        path (str | Path): The list.
        fmt (str): A key of :data:`FORMATS`. Defaults to ``'auto'``.

    Returns:
        list[str]: Stems in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the format is unknown, a line does not fit it, the list
            is empty, or names an image twice.
    """
    if fmt not in FORMATS:
        raise ValueError(f'unknown list format {fmt!r}; use one of {", ".join(FORMATS)}')
    stems = [
        _line_to_stem(line, fmt, f'{path}, line {number}')
        for number, line in enumerate(read_lines(path), 1)
        if line.strip()
    ]
    if not stems:
        raise ValueError(f'{path} holds no line (some published files are empty)')
    check_unique(stems, path)
    return stems


def _line_to_stem(line: str, fmt: str, where: str) -> str:
    entries = line.split()
    if len(entries) not in FORMATS[fmt]:
        raise ValueError(
            f'{where} has {len(entries)} entries, the format '
            f'{fmt} has {" or ".join(map(str, FORMATS[fmt]))}'
        )
    if len(entries) == 2 and not entries[1].lower().endswith(ENTRY_SUFFIXES):
        raise ValueError(f'{where}: {entries[1]!r} is not the path of a mask')
    return entry_to_stem(entries[0])


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


def import_permutation(path: PathLike, full_list: PathLike, num_labeled: int) -> ImportedSplit:
    """Labelled and unlabelled stems of a pickled permutation.

    Args:
        path (str | Path): The pickle, see :func:`read_permutation`.
        full_list (str | Path): The full training list, in the order the
            authors used.
        num_labeled (int): Number of images at the head of the order that are
            labelled.

    Returns:
        ImportedSplit: The stems.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the two do not fit, or ``num_labeled`` is out of range.
    """
    order, stems = read_permutation(path), read_text_list(full_list)
    if len(order) != len(stems):
        raise ValueError(f'{path} orders {len(order)} images, but {full_list} lists {len(stems)}')
    if not 1 <= num_labeled <= len(stems):
        raise ValueError(f'cannot label {num_labeled} of the {len(stems)} images of {full_list}')
    named = [stems[i] for i in order]
    return ImportedSplit(named[:num_labeled], named[num_labeled:], 0)


def import_lists(
    labeled: PathLike,
    unlabeled: Optional[PathLike] = None,
    full_list: Optional[PathLike] = None,
    fmt: str = 'auto',
) -> ImportedSplit:
    """Labelled and unlabelled stems of published text lists.

    Args:
        labeled (str | Path): The labelled list.
        unlabeled (str | Path, optional): The unlabelled list. Labelled images
            it names too (as the CPS lists do) are taken out.
        full_list (str | Path, optional): The full training list. Without an
            unlabelled list its other images are unlabelled; with one it is
            used only to check that it holds both lists.
        fmt (str): A key of :data:`FORMATS`. Defaults to ``'auto'``.

    Returns:
        ImportedSplit: The stems.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If neither second list is given, a list is malformed, or a
            stem is missing from the full list.
    """
    chosen = read_text_list(labeled, fmt)
    full = None if full_list is None else read_text_list(full_list)
    rest = full if unlabeled is None else read_text_list(unlabeled, fmt)
    if rest is None:
        raise ValueError('give the unlabelled list, or the full list whose rest is unlabelled')
    if full is not None:
        outside = sorted(set(chosen + rest) - set(full))
        if outside:
            raise ValueError(
                f'{len(outside)} stems are missing from {full_list}, such as {outside[0]}'
            )
    known = set(chosen)
    kept = [stem for stem in rest if stem not in known]
    dropped = 0 if unlabeled is None else len(rest) - len(kept)
    return ImportedSplit(chosen, kept, dropped)
