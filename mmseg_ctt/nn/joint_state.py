# Copyright (c) mmseg_ctt contributors.
"""Entries of a checkpoint that are of use together alone, such as a queue and its pointer.

PyTorch and mmengine load what fits, entry by entry. Of a queue of another length that is the number
of its entries, and zeros would count as features.

A module names such entries, or parts with all of their entries, in ``joint_state``: tuples of names
relative to it. Nothing is done where a checkpoint has none of the first of them.
"""

import logging
from typing import Dict, List, Mapping, Sequence

import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor


def drop_misfits(model: nn.Module, state_dict: Dict[str, Tensor], prefix: str = '') -> None:
    """Leave joint entries out of a state where one of them does not fit, with a line in the log.

    Args:
        model (nn.Module): That the state is loaded into.
        state_dict (dict[str, Tensor]): Changed in place.
        prefix (str): Of the model's entries. Defaults to ''.
    """
    own = model.state_dict(prefix=prefix)
    for path, module in model.named_modules(prefix=prefix.rstrip('.')):
        for names in getattr(module, 'joint_state', ()):
            paths = [f'{path}.{name}' if path else name for name in names]
            given = _of(paths, state_dict)
            misfits = [
                key for key in _of(paths, own) if _shape(own, key) != _shape(state_dict, key)
            ]
            if not misfits or not _of(paths[:1], state_dict):
                continue
            key = misfits[0]
            print_log(
                f'{key} is {_shape(state_dict, key)} in the checkpoint and {_shape(own, key)} '
                f'here: {", ".join(paths)} begin anew',
                'current',
                logging.WARNING,
            )
            for name in given:
                del state_dict[name]


def _of(paths: Sequence[str], state: Mapping[str, Tensor]) -> List[str]:
    """Names of the entries at some paths, or below them."""
    below = tuple(f'{path}.' for path in paths)
    return [key for key in state if key in paths or key.startswith(below)]


def _shape(state: Mapping[str, Tensor], key: str) -> str:
    return str(tuple(state[key].shape)) if key in state else 'absent'
