# Copyright (c) mmseg_ctt contributors.
"""Plain checkpoints, which ``torch.load`` accepts."""

import io
from collections import OrderedDict
from typing import Any, Dict, Mapping

import numpy as np
import torch

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
