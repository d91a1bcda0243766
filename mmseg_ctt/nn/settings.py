# Copyright (c) mmseg_ctt contributors.
"""Settings of methods: checks that several have, and the parts that are built from them."""

import inspect
from typing import Any, Collection, Dict, Mapping, Optional, Union

from mmseg.registry import MODELS


def loss_weights(given: Optional[Dict[str, float]], defaults: Dict[str, float]) -> Dict[str, float]:
    """``model.loss_weights`` over a method's own.

    Raises:
        TypeError: If it is no dict.
        ValueError: For a term that the method does not have.
    """
    given = as_dict('model.loss_weights', given)
    check_keys('model.loss_weights', given, defaults, 'terms')
    return {**defaults, **given}


def check_single_pair(method: str, num_pairs: int, teaching: str) -> None:
    """For methods of one student and its teacher.

    Raises:
        ValueError: For another number or graph.
    """
    if (num_pairs, teaching) != (1, 'self'):
        raise ValueError(
            f'model.type={method} is one student and its teacher: remove '
            f'num_pairs={num_pairs} and teaching={teaching!r}'
        )


def as_dict(key: str, given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """A copy of what stands at a key of the config; empty for None.

    Raises:
        TypeError: If it is no dict.
    """
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(f'{key} must be a dict of settings, got {given!r}')
    return dict(given or {})


def check_keys(
    key: str, given: Collection[str], known: Collection[str], what: str = 'settings'
) -> None:
    """Refuse what is misspelt.

    Raises:
        ValueError: For a name that is not known.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f'{key} has unknown {what} {unknown}; known are {sorted(known)}')


def build_part(
    key: str,
    given: Optional[dict],
    part: Union[type, str],
    defaults: Optional[dict] = None,
    **own: Any,
) -> Any:
    """Build a part of a method from ``model.<key>``.

    Args:
        key (str): Its name in the config.
        given (dict, optional): What stands there.
        part (type | str): Its class; a name where ``type`` may choose another registered one.
        defaults (dict, optional): The method's, where they are not those of the class.
        own: What the method gives itself and no config can.

    Raises:
        TypeError: If the settings are no dict.
        ValueError: For a setting that the class does not have or that it lacks, or a ``type``
            that is not registered.
    """
    given = {**(defaults or {}), **as_dict(f'model.{key}', given)}
    if isinstance(part, str):
        part = _registered(key, given.pop('type', part))
    _check_fit(key, given, part, own)
    return part(**own, **given)


def build_switched(
    key: str, given: Union[bool, dict], part: type, defaults: Optional[dict] = None, **own: Any
) -> Any:
    """The same of a part that False switches off, which yields None; True changes no setting.

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


def _registered(key: str, kind: Union[type, str]) -> type:
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise ValueError(
            f'model.{key}.type={kind!r} is not registered: correct the name, or '
            'import its module with custom_imports'
        )
    return found


def _check_fit(key: str, given: Collection[str], part: type, own: Collection[str]) -> None:
    """Raise for settings that a call of the class would trip over, in the words of the config."""
    parameters = inspect.signature(part).parameters.values()
    named = [
        one
        for one in parameters
        if one.name not in own and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        check_keys(f'model.{key}', given, [one.name for one in named])
    lacking = [one.name for one in named if one.default is one.empty and one.name not in given]
    if lacking:
        raise ValueError(f'model.{key} lacks the settings {lacking}')
