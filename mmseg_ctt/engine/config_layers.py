# Copyright (c) mmseg_ctt contributors.
"""Files that a config is merged from: which settings stand beside a variable, and which below it.

mmengine merges a file into the files that it inherits and keeps the result alone. Variables that
choose a method or a network (:mod:`mmseg_ctt.engine.presets`) need to know more: settings below
such a variable belong to the former choice, and those beside it to the new one.
"""

import copy
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Tuple

from mmengine.config import Config

DELETE = '_delete_'


class Layers(NamedTuple):
    """Settings of a config, as seen from a variable.

    Attributes:
        given (dict): Set in the file that sets the variable, and in files that inherit it.
        former (dict): What that file inherits.
        above (dict): Of ``given``, what stands in files that inherit that file.
        later (dict): What is merged after the variable is applied: other settings of a command.
            Defaults to none.
    """

    given: Dict[str, Any]
    former: Dict[str, Any]
    above: Dict[str, Any]
    later: Mapping[str, Any] = MappingProxyType({})


NO_LAYERS = Layers({}, {}, {})


class Merges:
    """Merges of the files of a config, in the order of their reading: the config itself is last."""

    def __init__(self) -> None:
        self.pairs: List[Tuple[dict, dict]] = []  # what a file sets, what it inherits

    def of(self, name: str) -> Layers:
        """Layers of a top-level variable; empty if the variable is nowhere set to a value."""
        given: Dict[str, Any] = {}
        above: Dict[str, Any] = {}
        for own, inherited in reversed(self.pairs):
            if own.get(name) is not None:
                return Layers(united(given, own), inherited, above)
            if inherited.get(name) is not None:
                given, above = united(given, own), united(above, own)
        return NO_LAYERS


@contextmanager
def recorded_merges() -> Iterator[Merges]:
    """Record what :meth:`mmengine.Config.fromfile` merges in the ``with`` block."""
    merge: Callable = Config._merge_a_into_b
    merges, nested = Merges(), False

    def record(a: dict, b: dict, *args: Any, **kwargs: Any) -> dict:
        nonlocal nested
        if nested:
            return merge(a, b, *args, **kwargs)
        merges.pairs.append((plain(a), plain(b)))
        nested = True
        try:
            return merge(a, b, *args, **kwargs)
        finally:
            nested = False

    Config._merge_a_into_b = staticmethod(record)
    try:
        yield merges
    finally:
        Config._merge_a_into_b = staticmethod(merge)


def plain(node: Any) -> Any:
    """A deep copy of dicts and lists; other values are shared."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in dict.items(node)}
    if isinstance(node, (list, tuple)):
        return type(node)(plain(value) for value in node)
    return node


def united(first: Mapping, second: Mapping) -> Dict[str, Any]:
    """Both dicts; dicts at the same key are united as well, of other values the first counts."""
    both = {**second, **first}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            both[key] = united(first[key], second[key])
    return both


def forget(node: dict, former: Mapping, given: Mapping, path: str = '') -> List[str]:
    """Remove from ``node`` what it has from ``former``; what is given stays.

    Args:
        node (dict): Merged settings; changed in place.
        former (Mapping): Settings to remove. Values that have changed since stay.
        given (Mapping): Settings to keep.
        path (str): Names on the way to ``node``, with a dot behind. Defaults to ''.

    Returns:
        list[str]: Names of the settings that were removed.
    """
    gone: List[str] = []
    for key, old in former.items():
        if key not in node:
            continue
        value, kept = node[key], given.get(key)
        if isinstance(old, Mapping) and isinstance(value, dict) and (old or kept):
            gone += forget(value, old, kept if isinstance(kept, Mapping) else {}, f'{path}{key}.')
            if not value and key not in given:
                node.pop(key)
        elif key not in given and value == old:
            node.pop(key)
            gone.append(f'{path}{key}')
    return gone


def over(settings: Mapping, node: dict) -> dict:
    """``settings`` with those of ``node`` merged over them.

    A value None of ``node`` stands, and ``_delete_`` in one of its dicts leaves out the others.
    """
    merged = plain(dict(settings))
    for key, value in dict.items(node):
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not value.get(DELETE):
            merged[key] = over(below, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
