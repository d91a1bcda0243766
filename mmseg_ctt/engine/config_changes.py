# Copyright (c) mmseg_ctt contributors.
"""Differences of two configs, each given as the text that a checkpoint holds."""

import ast
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

Path = Tuple[Any, ...]  # keys of dicts and positions in lists, from the top
SHOWN = 60  # characters of a value in a message


class Absent:
    """Value of a key that a config does not have."""

    def __repr__(self) -> str:
        return 'not set'


ABSENT = Absent()


class Change(NamedTuple):
    """Setting that differs.

    Attributes:
        path (tuple): Keys of dicts and positions in lists.
        old (Any): Value in the first config, or :data:`ABSENT`.
        new (Any): Value in the second config, or :data:`ABSENT`.
    """

    path: Path
    old: Any
    new: Any

    @property
    def key(self) -> str:
        """Key as ``--cfg-options`` takes it."""
        return '.'.join(map(str, self.path))


def changes(old: Dict[str, Any], new: Dict[str, Any]) -> List[Change]:
    """Settings that differ, single values where both configs have dicts or lists of one length.

    Args:
        old (dict): As from :func:`parse_config`.
        new (dict): As from :func:`parse_config`.
    """
    return list(_changes(old, new, ()))


def _changes(old: Any, new: Any, path: Path) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new)):
            yield from _changes(*pair, (*path, i))
    elif old != new:
        yield Change(path, old, new)


def parse_config(text: str) -> Optional[Dict[str, Any]]:
    """Config of its text, as :attr:`mmengine.Config.pretty_text` writes it; no code is run.

    Args:
        text (str): Assignments of literals and ``dict(...)``.

    Returns:
        dict | None: Tuples are lists; what is no literal stays text. None if it is no Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    return {
        target.id: _value(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
        given = [_value(item) for item in node.args]  # of keys that are no names
        named = {str(item.arg): _value(item.value) for item in node.keywords}
        return {**given[0], **named} if given and isinstance(given[0], dict) else named
    if isinstance(node, ast.Dict):
        keys = [_value(key) if key is not None else None for key in node.keys]
        return dict(zip(keys, map(_value, node.values)))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def shown(value: Any) -> str:
    """Value of a setting in a message, cut to :data:`SHOWN` characters."""
    text = ' '.join(str(value).split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else f'{text[:SHOWN]}...'
