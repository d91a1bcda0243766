# Copyright (c) mmseg_ctt contributors.
"""Slices that the network of a checkpoint was trained on, as its recorded config says."""

import ast
from typing import Any, Dict, List, Mapping

from .settings import SliceSettings, slice_settings


def recorded_config(meta: Mapping[str, Any]) -> Dict[str, Any]:
    """Config that mmengine has written into a checkpoint; its text is read, never run.

    Args:
        meta (Mapping): ``meta`` of a checkpoint.

    Returns:
        dict: Empty where the checkpoint has none, or one of another form.
    """
    try:
        lines = ast.parse(meta.get('cfg') or '').body
        return {
            line.targets[0].id: _value(line.value)
            for line in lines
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
        }
    except (SyntaxError, TypeError, ValueError):
        return {}


def _value(node: ast.AST) -> Any:
    """Value of literals and of calls of ``dict``."""
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
        made: Dict[Any, Any] = {}
        for keyword in node.keywords:
            value = _value(keyword.value)
            made.update(value if keyword.arg is None else {keyword.arg: value})
        return made
    if isinstance(node, ast.Dict):
        keys = [_value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_value, node.values)))
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(value) for value in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    return ast.literal_eval(node)


def other_slices(meta: Mapping[str, Any], used: SliceSettings) -> List[str]:
    """Warnings where a prediction takes other slices than those of the training.

    Args:
        meta (Mapping): ``meta`` of a checkpoint.
        used (SliceSettings): Of the prediction.

    Returns:
        list[str]: A line for each setting that differs; empty where the checkpoint does not say
        how its slices were made.
    """
    try:
        trained = slice_settings(recorded_config(meta))
    except (KeyError, TypeError, ValueError):  # no slices of volumes
        return []
    return [
        f'WARNING: the network was trained with {name}={before!r} and predicts with {name}={now!r}'
        for name, before, now in zip(SliceSettings._fields, trained, used)
        if before != now
    ]
