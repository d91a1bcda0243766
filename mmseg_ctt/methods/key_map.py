# Copyright (c) mmseg_ctt contributors.
"""Checkpoints of version 0.1: the former names of their entries.

Every loader (``--resume``, ``load_from``, test, report) ends in ``_load_from_state_dict`` of the
model, which calls :func:`rename_keys`. Exports and plain segmentors have none of these names.
"""

from typing import Dict, List

from mmengine.logging import print_log
from torch import Tensor

MARK = 'ema_updates'  # in every checkpoint of a semi-supervised model of version 0.1, in no other
# former names and present ones, of entries or of all that begin with a name and a dot
KEY_MAP = (
    ('ema_updates', 'num_updates'),
    ('contrast_on', 'contrast.on'),  # CTT, STPG
    ('thresholds.', 'consistency.class_thresholds.'),  # CTT
    ('bank.', 'class_confidence.'),  # AEL
    ('unreliable.', 'contrast.'),  # U2PL
)


def rename_keys(state_dict: Dict[str, Tensor], prefix: str = '') -> List[str]:
    """Rename the entries of a checkpoint of version 0.1.

    Args:
        state_dict (dict[str, Tensor]): Changed in place; one of a later version stays as it is.
        prefix (str): Of the model's entries. Defaults to ''.

    Returns:
        list[str]: ``'former.* -> present.*'`` for each row of :data:`KEY_MAP` that was used.
    """
    if f'{prefix}{MARK}' not in state_dict:
        return []
    if not any(key.startswith(f'{prefix}contrast.') for key in state_dict):
        state_dict.pop(f'{prefix}contrast_on', None)  # of a run without contrast, always False
    used = []
    for former, present in KEY_MAP:
        keys = [key for key in state_dict if _is(key, prefix + former)]
        for key in keys:
            state_dict[prefix + present + key[len(prefix + former) :]] = state_dict.pop(key)
        if keys:
            used.append(f'{_pattern(former)} -> {_pattern(present)}')
    return used


def _pattern(name: str) -> str:
    return f'{name}*' if name.endswith('.') else name


def _is(key: str, former: str) -> bool:
    return key.startswith(former) if former.endswith('.') else key == former


def log_renamed(used: List[str]) -> None:
    """Say in one line of the log which entries were renamed; nothing for none."""
    if used:
        print_log(
            f'checkpoint of version 0.1: {", ".join(used)}. Some defaults have changed since; '
            'CHANGELOG.md lists them under "If you come from 0.1"',
            'current',
        )
