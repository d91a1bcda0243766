# Copyright (c) mmseg_ctt contributors.
"""Texts where a class or a function takes numbers, or True and False, found by its signature."""

import inspect
import re
from numbers import Real
from typing import Any, Dict, Iterable, Mapping, Optional

NUMBERS = {'int', 'float'}
BESIDE = {'None', 'NoneType', 'Optional', 'Union', 'bool', 'Tensor'}
FLAGS = {'bool', 'None', 'NoneType', 'Optional', 'Union'}
LISTS = {'Tuple', 'tuple', 'Sequence', 'List', 'list'}
MODULES = {'typing', 'torch', 'collections', 'abc'}


def refuse_texts(
    key: str, given: Mapping[str, Any], parameters: Iterable[inspect.Parameter]
) -> None:
    """Refuse texts for parameters that take numbers alone, or True and False alone.

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
        taken = taken_for_text(parameter) if isinstance(value, str) else None
        if taken is not None:
            raise TypeError(f'{key}.{parameter.name} must be {taken}, got {value!r}')


def taken_for_text(parameter: inspect.Parameter) -> Optional[str]:
    """What a parameter takes, in words; None where that may be a text.

    Args:
        parameter (Parameter): Its annotation decides, else its default.
    """
    kind = parameter.annotation
    if kind is parameter.empty:
        number = isinstance(parameter.default, Real) and not isinstance(parameter.default, bool)
        return 'a number' if number else None
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    words = set(re.findall(r'[^\W\d]\w*', text))
    if 'bool' in words and words <= FLAGS | MODULES:  # a text such as 'no' would count as True
        return 'True or False'
    if not words & NUMBERS or not words <= NUMBERS | BESIDE | LISTS | MODULES:
        return None
    if words & LISTS:
        return 'numbers'
    return 'a number' if 'float' in words else 'an integer'
