# Copyright (c) mmseg_ctt contributors.
"""Signatures of classes and functions: which settings a config can give them."""

import inspect
from functools import lru_cache
from typing import Any, Collection, List, Tuple


def settings_of(function: Any, without: Collection[str] = ()) -> List[inspect.Parameter]:
    """Named parameters of a class or a function, apart from some."""
    named = (
        value
        for value in _parameters(function)
        if value.kind not in (value.VAR_POSITIONAL, value.VAR_KEYWORD)
    )
    return [value for value in named if value.name not in (*without, 'self')]


def inherited_settings(owner: type, name: str) -> List[inspect.Parameter]:
    """Named parameters of a method of a class, and of its parents' where it takes ``**kwargs``."""
    found: List[inspect.Parameter] = []
    for method in (vars(kind)[name] for kind in owner.__mro__ if name in vars(kind)):
        found += settings_of(method)
        if not takes_any(method):
            break
    return found


def all_settings(part: Any) -> List[inspect.Parameter]:
    """Named parameters of a function, or of a class and those that it hands to its parents."""
    return inherited_settings(part, '__init__') if inspect.isclass(part) else settings_of(part)


def takes_any(function: Any) -> bool:
    """Whether a class or a function has ``**kwargs``."""
    return any(parameter.kind == parameter.VAR_KEYWORD for parameter in _parameters(function))


def _parameters(function: Any) -> Tuple[inspect.Parameter, ...]:
    # what a class says can change with its `__init__`; other callables need not be hashable
    return (_of_function if inspect.isfunction(function) else _read)(function)


def _read(function: Any) -> Tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())


# a config of 100 parts asks for thousands, and again at each build
_of_function = lru_cache(maxsize=None)(_read)
