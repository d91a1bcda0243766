# Copyright (c) mmseg_ctt contributors.
"""Settings of methods: checks that several have, and the parts that are built from them."""

import math
from numbers import Integral, Real
from typing import Any, Collection, Dict, Mapping, Optional, Sequence, Type, Union

from mmseg.registry import MODELS

from .setting_texts import refuse_texts
from .signatures import all_settings, settings_of, takes_any

Part = Union[type, str]

# former names of settings, for one sentence in the error
RENAMED = dict(
    teaching='model.supervision',
    confident='model.consistency=dict(confidence_threshold=...)',
    class_thresholds='model.consistency=dict(select="pixel", class_thresholds=...)',
    ramp='model.ramp_up',
    strong_view='model.strong_augmentation, a list of steps such as [dict(type="ClassMixing")]',
    share_view='model.shared_view',
)


def as_dict(key: str, given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """A copy of the dict at a key of the config; empty for None.

    Raises:
        TypeError: If it is no dict.
    """
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(f'{key} must be a dict of settings, got {given!r}')
    return dict(given or {})


def merged(
    key: str, defaults: Optional[Mapping[str, Any]], given: Optional[Mapping[str, Any]]
) -> Dict[str, Any]:
    """Settings of a config over defaults.

    Raises:
        TypeError: If they are no dict.
    """
    return {**(defaults or {}), **as_dict(key, given)}


def check_keys(
    key: str,
    given: Collection[str],
    known: Collection[str],
    what: str = 'settings',
    renamed: Optional[Mapping[str, str]] = None,
) -> None:
    """Refuse unknown names.

    Args:
        key (str): Place in the config.
        given (Collection[str]): Names that are set.
        known (Collection[str]): Names that exist.
        what (str): Their kind, for the message. Defaults to 'settings'.
        renamed (Mapping[str, str], optional): What to write now, by former name.

    Raises:
        ValueError: For a name that is not known.
    """
    unknown = sorted(set(given) - set(known))
    for name in unknown:
        if name in (renamed or {}):
            raise ValueError(f'{key}: {name} of version 0.1 is now {(renamed or {})[name]}')
    if unknown:
        raise ValueError(f'{key} has unknown {what} {unknown}; known are {sorted({*known})}')


def check_choice(key: str, value: Any, known: Sequence[Any]) -> None:
    """Refuse a value that is none of the known ones.

    Raises:
        ValueError: Names the key and the choices.
    """
    if value not in known:
        raise ValueError(f'{key} must be one of {tuple(known)}, got {value!r}')


def check_number(
    key: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    whole: bool = False,
    ends: str = '[]',
) -> None:
    """Refuse a value that is no finite number between two bounds.

    Args:
        key (str): Place in the config.
        value (Any): What is set there.
        low (float): Smallest number that is allowed. Defaults to -inf.
        high (float): Largest number that is allowed. Defaults to inf.
        whole (bool): Whether it must be an integer. Defaults to False.
        ends (str): ``'('`` refuses ``low`` itself, ``')'`` refuses ``high``. Defaults to '[]'.

    Raises:
        TypeError: If it is no number, or no integer; True and False are none.
        ValueError: If it is not finite or lies outside the bounds.
    """
    check_real(key, value, whole)
    at_end = (ends[0] == '(' and value == low) or (ends[1] == ')' and value == high)
    if at_end or not (low <= value <= high and math.isfinite(value)):
        bounds = f'{"above" if ends[0] == "(" else "at least"} {low}'
        bounds = 'finite' if low == -math.inf else bounds
        bounds = bounds if high == math.inf else f'in {ends[0]}{low}, {high}{ends[1]}'
        raise ValueError(f'{key} must be {bounds}, got {value!r}')


def check_numbers(key: str, values: Mapping[str, Any], *bounds: Any, **kind: Any) -> None:
    """:func:`check_number` of several settings at one place.

    Args:
        key (str): Place in the config.
        values (Mapping[str, Any]): By name.
        bounds (float): As there.
        kind: As there.
    """
    for name, value in values.items():
        check_number(f'{key}.{name}', value, *bounds, **kind)


def check_real(key: str, value: Any, whole: bool = False) -> None:
    """Refuse a value that is no number; arguments as of :func:`check_number`.

    Raises:
        TypeError: If it is no number, or no integer; True and False are none.
    """
    kind: Any = Integral if whole else Real
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f'{key} must be {"an integer" if whole else "a number"}, got {value!r}')


def check_range(key: str, value: Any, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse a value that is no range ``(lower, upper)`` between two bounds.

    Args:
        key (str): Place in the config.
        value (Any): What is set there.
        low (float): Bound of the lower end. Defaults to 0.
        high (float): Bound of the upper end. Defaults to inf: the range is of positive numbers,
            ``low`` itself is refused.

    Raises:
        TypeError: If it is no list or tuple of two numbers.
        ValueError: If the ends are in the wrong order or lie outside the bounds.
    """
    pair = isinstance(value, Sequence) and len(value) == 2
    if not (pair and all(isinstance(end, Real) for end in value)):
        raise TypeError(f'{key} must be two numbers, such as (0.2, 0.5), got {value!r}')
    above = value[0] > low if high == math.inf else value[0] >= low
    if not (above and value[0] <= value[1] <= high and math.isfinite(value[1])):
        bounds = f'above {low}' if high == math.inf else f'in [{low}, {high}]'
        raise ValueError(f'{key}={value} is no range {bounds}: give the lower end first')


def loss_weights(
    given: Optional[Mapping[str, float]], defaults: Mapping[str, float]
) -> Dict[str, float]:
    """``model.loss_weights`` merged into those of the method.

    Raises:
        TypeError: If it is no dict, or a weight is no number.
        ValueError: For a term that the method does not have, or a weight that is not finite.
    """
    weights = merged('model.loss_weights', defaults, given)
    check_keys('model.loss_weights', weights, defaults, 'terms')
    for term, weight in weights.items():
        check_number(f'model.loss_weights.{term}', weight)
    return weights


def build_part(
    key: str,
    given: Optional[Mapping[str, Any]],
    part: Part,
    defaults: Optional[Mapping[str, Any]] = None,
    renamed: Optional[Mapping[str, str]] = None,
    **own: Any,
) -> Any:
    """Build a part of a method from ``model.<key>``.

    Args:
        key (str): Its name in the config.
        given (Mapping, optional): Its settings in the config.
        part (type | str): Its class; a name where ``type`` may choose another registered class.
        defaults (Mapping, optional): Defaults of the method, where they are not the class's own.
        renamed (Mapping[str, str], optional): See :func:`check_keys`.
        own: Arguments that the method sets and no config can.

    Raises:
        TypeError: If the settings are no dict.
        ValueError: For a setting that the class does not have or that it lacks, or a ``type``
            that is not registered.
    """
    values = merged(f'model.{key}', defaults, given)
    if isinstance(part, str):
        part = _registered(key, values.pop('type', part))
    check_settings(f'model.{key}', values, part, own, renamed)
    return part(**own, **values)


def build_optional(
    key: str,
    given: Union[bool, Mapping[str, Any]],
    part: Part,
    defaults: Optional[Mapping[str, Any]] = None,
    **own: Any,
) -> Any:
    """Build a part of a method that False switches off, by :func:`build_part`.

    Args:
        key (str): Its name in the config.
        given (bool | Mapping): Its settings in the config; True: none is changed; False: no part.
        part (type | str): As in :func:`build_part`.
        defaults (Mapping, optional): As in :func:`build_part`.
        own: As in :func:`build_part`.

    Returns:
        Any: The part, or None for False.

    Raises:
        TypeError: For anything but a bool or a dict. None is refused: other settings mean their
            defaults by it, and others that there is no such part.
        ValueError: As in :func:`build_part`.
    """
    if not isinstance(given, (bool, Mapping)):
        raise TypeError(
            f'model.{key} must be True, False (off) or a dict of settings, got {given!r}'
        )
    if given is False:
        return None
    return build_part(key, None if given is True else given, part, defaults, **own)


def check_part(key: str, given: Optional[Mapping[str, Any]], part: Part) -> None:
    """Refuse settings that a part does not have, also where it is switched off and not built.

    Args:
        key (str): As of :func:`build_part`, like the other two.
        given (Mapping, optional): Settings in the config.
        part (type | str): Class, or the name of one.

    Raises:
        TypeError: If the settings are no dict.
        ValueError: For a setting or a ``type`` that is not known.
    """
    values = as_dict(f'model.{key}', given)
    if isinstance(part, str):
        part = _registered(key, values.pop('type', part))
    check_keys(f'model.{key}', values, [parameter.name for parameter in settings_of(part)])


def check_settings(
    key: str,
    given: Collection[str],
    part: Any,
    own: Collection[str] = (),
    renamed: Optional[Mapping[str, str]] = None,
) -> None:
    """Refuse settings that a call of ``part`` would not take, in the words of the config.

    Args:
        key (str): Place in the config.
        given (Collection[str]): Names that are set; of a dict the values are checked for texts.
        part (Callable): Class or function.
        own (Collection[str]): Arguments that no config can set.
        renamed (Mapping[str, str], optional): See :func:`check_keys`; a class may have an attribute
            of this name.

    Raises:
        TypeError: For a text in the place of a number, or of True and False.
        ValueError: For a setting that is unknown, or one that is missing.
    """
    renamed = {**(renamed or {}), **getattr(part, 'renamed', {})}
    parameters = settings_of(part, own)
    if not takes_any(part):
        check_keys(key, given, [parameter.name for parameter in parameters], renamed=renamed)
    if isinstance(given, Mapping):
        refuse_texts(key, given, all_settings(part))
    needed = (value.name for value in parameters if value.default is value.empty)
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f'{key} lacks the settings {missing}')


def _registered(key: str, kind: Part) -> Type:
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise ValueError(
            f'model.{key}.type={kind!r} is not registered: correct the name, or '
            'import its module with custom_imports'
        )
    return found
