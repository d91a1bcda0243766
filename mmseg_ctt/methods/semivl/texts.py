# Copyright (c) mmseg_ctt contributors.
"""Texts of classes and files of their embeddings."""

from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...nn.weight_files import PREFIX, source_of

KEY = 'model.guidance'
TOOL = 'tools/model_converters/clip_text_embeddings.py'


def local_file(key: str, given: Optional[str]) -> Optional[Path]:
    """File that a setting names.

    Args:
        key (str): Place in the config.
        given (str, optional): A path, or ``pretrained:FILE|random``: the file in
            ``$PRETRAINED_ROOT``, none where it is missing.

    Returns:
        Path | None: The file; None for random numbers.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is an address.
    """
    if given is None:
        return None
    path, optional = Path(given), False
    if given.startswith(PREFIX):
        path, other, optional = source_of(given)
        if other != 'random':
            raise ValueError(
                f'{key}={given!r}: only local files are read, write {PREFIX}FILE|random'
            )
    if path.is_file():
        return path
    if optional:
        return None
    raise FileNotFoundError(f'{key}: there is no file {path}')


def class_texts(given: Any, num_classes: int) -> List[List[str]]:
    """Texts of each class.

    Args:
        given (Sequence[str | Sequence[str]]): One text a class, or several that define it.
        num_classes (int): ``K``.

    Raises:
        TypeError: If it is no list of texts or of lists of texts.
        ValueError: If their number is not that of the classes.
    """
    entries = given if isinstance(given, (list, tuple)) else [None]
    texts: List[Any] = [
        list(entry) if isinstance(entry, (list, tuple)) else [entry] for entry in entries
    ]
    if not all(entry and all(isinstance(text, str) for text in entry) for entry in texts):
        raise TypeError(
            f'{KEY}.texts must have a text, or a list of texts, for each class; got {given!r}'
        )
    if len(texts) != num_classes:
        raise ValueError(
            f'{KEY}.texts has {len(texts)} entries for {num_classes} classes: give one for each '
            'class, in the order of the data set'
        )
    return texts


def read_embeddings(path: Path) -> Mapping[str, Tensor]:
    """Embeddings of a file by their texts.

    Args:
        path (Path): ``.npz`` or ``.pt`` with ``texts`` (N strings) and ``embeddings`` ``(N, D)``.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        if path.suffix == '.npz':
            with np.load(path, allow_pickle=False) as found:
                names, values = found['texts'].tolist(), torch.from_numpy(found['embeddings'])
        else:
            found = torch.load(path, map_location='cpu', weights_only=True)
            names, values = list(found['texts']), torch.as_tensor(found['embeddings'])
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise ValueError(
            f'{path} is no file of text embeddings ({error}): {TOOL} writes one'
        ) from error
    if values.dim() != 2 or len(values) != len(names):
        raise ValueError(
            f'{path} has embeddings of shape {tuple(values.shape)} for {len(names)} texts: '
            f'{TOOL} writes one row for each'
        )
    return dict(zip(names, values.float()))


def embeddings_of(path: Path, texts: Sequence[Sequence[str]]) -> Tuple[Tensor, Tensor]:
    """Embeddings of the texts of all classes.

    Args:
        path (Path): See :func:`read_embeddings`. It may have more texts.
        texts (Sequence[Sequence[str]]): Of each class.

    Returns:
        tuple[Tensor, Tensor]: ``(T, D)`` float32 of length 1, and ``(T,)`` int64 class of each.

    Raises:
        ValueError: If a text is missing.
    """
    known = read_embeddings(path)
    needed = [text for entry in texts for text in entry]
    missing = [text for text in needed if text not in known]
    if missing:
        raise ValueError(
            f'{KEY}.text_file: {path} has no embedding of {", ".join(map(repr, missing[:5]))}'
            f'{", ..." if len(missing) > 5 else ""}: write one with {TOOL}, or correct '
            f'{KEY}.texts'
        )
    index = [k for k, entry in enumerate(texts) for _ in entry]
    return F.normalize(torch.stack([known[text] for text in needed]), dim=1), torch.tensor(index)
