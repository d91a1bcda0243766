# Copyright (c) mmseg_ctt contributors.
"""Checkpoints: reading those of mmengine, writing plain ones that ``torch.load`` accepts."""

import io
import os
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Dict, Mapping, Union

import numpy as np
import torch

PathLike = Union[str, Path]

# Keys of mmengine's meta that are kept; paths and messages of hooks are dropped.
META_KEYS = (
    'cfg',
    'dataset_meta',
    'epoch',
    'iter',
    'seed',
    'experiment_name',
    'time',
    'member',
    'mmengine_version',
)


def read_checkpoint(path: PathLike) -> Dict[str, Any]:
    """Load a checkpoint of mmengine onto the host.

    Args:
        path (str | Path): File or URL.

    Returns:
        dict: With ``state_dict`` and ``meta`` (empty if the file has none).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code or has no ``state_dict``.
    """
    from mmengine.runner import CheckpointLoader

    path = str(path)
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'the checkpoint {path} does not exist')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
    except (EOFError, OSError, RuntimeError, UnpicklingError):  # of torch.load
        raise ValueError(
            f'{path} is no checkpoint, or damaged, or holds code, which is never '
            'run: write it again where it comes from, state_dict only'
        ) from None
    state = checkpoint.get('state_dict') if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f'{path} has no "state_dict": give a checkpoint that mmengine wrote')
    return {**checkpoint, 'meta': dict(checkpoint.get('meta') or {})}


def inference_part(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """Checkpoint with ``state_dict`` and plain ``meta``; optimiser, schedulers and logs dropped."""
    return dict(
        meta=plain_meta(checkpoint.get('meta') or {}),
        state_dict=OrderedDict(checkpoint['state_dict']),
    )


def plain_meta(meta: Mapping[str, Any]) -> Dict[str, Any]:
    """Keys ``META_KEYS`` of a checkpoint's ``meta``, in built-in types of Python."""
    return {key: _plain(meta[key]) for key in META_KEYS if key in meta}


def checkpoint_bytes(checkpoint: Mapping[str, Any]) -> bytes:
    """Bytes of a checkpoint file; they depend on the content alone, not on the file name."""
    stream = io.BytesIO()
    torch.save(dict(checkpoint), stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, int) else str(key): _plain(item) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
