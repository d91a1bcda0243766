# Copyright (c) mmseg_ctt contributors.
"""What a program has changed in a config since mmengine read it, to be changed in another one."""

import copy
from typing import Any, Dict, Iterator, Mapping, Tuple

from .config_changes import ABSENT, Path

NETWORK_PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head')  # of no method
# Settings of a plain segmentor; a method has them in `model.segmentor`.
OF_NETWORK = (*NETWORK_PARTS, 'data_preprocessor', 'pretrained', 'init_cfg', 'train_cfg')


def changed(before: Mapping, after: Mapping, path: Path = ()) -> Iterator[Tuple[Path, Any]]:
    """Paths and new values of settings that differ, :data:`ABSENT` of those that were removed.

    A part of another type is one whole value: settings of the former type mean nothing to it.
    Where the type alone differs, it is the only value.

    Args:
        before (Mapping): Settings.
        after (Mapping): The same, changed.
        path (tuple): Keys on the way to them. Defaults to none.
    """
    for key in before:
        if key not in after:
            yield (*path, key), ABSENT
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _replaces(old, value):
            yield from changed(old, value, (*path, key))
        elif key not in before or old != value:
            yield (*path, key), copy.deepcopy(value)


def _replaces(old: Mapping, new: Mapping) -> bool:
    return old.get('type') != new.get('type') and {**old, 'type': new.get('type')} != new


def of_network(path: Path, wrapped: bool) -> Path:
    """Path of a setting of a plain segmentor in a config whose method has the network inside.

    Args:
        path (tuple): In the config of the segmentor.
        wrapped (bool): Whether the method has it inside; other paths stay as they are.
    """
    inside = wrapped and path[0] == 'model' and path[1:2] and path[1] in OF_NETWORK
    return ('model', 'segmentor', *path[1:]) if inside else path


def split(found: Dict[Path, Any]) -> Tuple[Dict[str, Any], Dict[Path, Any]]:
    """Changes that mmengine can merge, by dotted keys, and those that it cannot.

    Those are removals, whole parts, and names with a dot in them.

    Args:
        found (dict): Values by their paths.
    """
    options: Dict[str, Any] = {}
    others: Dict[Path, Any] = {}
    for path, value in found.items():
        whole = isinstance(value, Mapping)  # another part, or one that was not there
        if value is ABSENT or whole or any('.' in str(key) for key in path):
            others[path] = value
        else:
            options['.'.join(map(str, path))] = value
    return options, others


def put(node: dict, path: Path, value: Any) -> None:
    """Set or remove a value of nested dicts.

    Args:
        node (dict): Changed in place.
        path (tuple): Keys on the way to the value.
        value (Any): The value, :data:`ABSENT` to remove it.
    """
    *way, last = path
    for key in way:
        inner = node.get(key)
        if not isinstance(inner, dict):
            if value is ABSENT:
                return
            node[key] = inner = {}
        node = inner
    if value is ABSENT:
        node.pop(last, None)
    else:
        node[last] = value
