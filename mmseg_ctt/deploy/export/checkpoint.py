# Copyright (c) mmseg_ctt contributors.
"""Reading checkpoints, and writing plain ones that ``torch.load`` takes without any exception."""

import io
import os
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Dict, Mapping, Union

import numpy as np
import torch

PathLike = Union[str, Path]

# What mmengine writes and inference, or a reader, wants; paths and hook messages stay behind.
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
        dict: With ``state_dict`` and ``meta`` (empty where there was none).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint with a ``state_dict``.
    """
    from mmengine.runner import CheckpointLoader

    path = str(path)
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'the checkpoint {path} does not exist')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
    except (EOFError, OSError, RuntimeError, UnpicklingError):  # torch's, for what it cannot read
        raise ValueError(
            f'{path} is no checkpoint, or damaged, or holds code, which is never '
            'run: write it again where it comes from, state_dict only'
        ) from None
    state = checkpoint.get('state_dict') if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f'{path} has no "state_dict": give a checkpoint that mmengine wrote')
    return {**checkpoint, 'meta': dict(checkpoint.get('meta') or {})}


def inference_part(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """``state_dict`` and the facts about it; optimiser, schedulers and logs are left out."""
    return dict(
        meta=plain_meta(checkpoint.get('meta') or {}),
        state_dict=OrderedDict(checkpoint['state_dict']),
    )


def plain_meta(meta: Mapping[str, Any]) -> Dict[str, Any]:
    """The known keys of a checkpoint's ``meta``, in Python's own types."""
    return {key: _plain(meta[key]) for key in META_KEYS if key in meta}


def checkpoint_bytes(checkpoint: Mapping[str, Any]) -> bytes:
    """What ``torch.save`` writes; equal contents give equal bytes, whatever the file is called."""
    stream = io.BytesIO()
    torch.save(dict(checkpoint), stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(key) if not isinstance(key, int) else key: _plain(one) for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
