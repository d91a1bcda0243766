# Copyright (c) mmseg_ctt contributors.
"""Texts where a class or a function takes numbers, found by its signature."""

import inspect
import re
from numbers import Real
from typing import Any, Dict, Iterable, Mapping

NUMBERS = {'int', 'float'}
BESIDE = {'None', 'NoneType', 'Optional', 'Union', 'bool', 'Tensor', 'Tuple', 'tuple', 'Sequence'}
MODULES = {'typing', 'torch', 'collections', 'abc', 'List', 'list'}


def check_texts(
    key: str, given: Mapping[str, Any], parameters: Iterable[inspect.Parameter]
) -> None:
    """Refuse texts for parameters that take numbers alone.

    Args:
        key (str): Place in the config.
        given (Mapping[str, Any]): Values by name.
        parameters (Iterable[Parameter]): Of the class or function that gets them; of several of a
            name the first counts, which is that of the class itself before those of its parents.

    Raises:
        TypeError: Names the setting.
    """
    first: Dict[str, inspect.Parameter] = {}
    for parameter in parameters:
        first.setdefault(parameter.name, parameter)
    for parameter in first.values():
        value = given.get(parameter.name)
        if isinstance(value, str) and takes_numbers(parameter):
            raise TypeError(f'{key}.{parameter.name} must be a number, got the text {value!r}')


def takes_numbers(parameter: inspect.Parameter) -> bool:
    """Whether a parameter takes numbers and no text: by its annotation, else by its default."""
    kind = parameter.annotation
    if kind is parameter.empty:
        return isinstance(parameter.default, Real) and not isinstance(parameter.default, bool)
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    words = set(re.findall(r'[^\W\d]\w*', text))
    return bool(words & NUMBERS) and words <= NUMBERS | BESIDE | MODULES
