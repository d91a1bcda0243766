# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping

from .signatures import settings_of


def refuse_unused(key: str, given: Mapping[str, Any], part: Any, cause: str) -> None:
    """Refuse settings that another one leaves without effect.

    A class does not know whether a value is of the config or its own default, so that the default
    itself is never refused.

    Args:
        key (str): Place in the config.
        given (Mapping[str, Any]): The settings that would be unused, by name.
        part (Callable): Class or function that takes them.
        cause (str): Why they would be, the beginning of a sentence.

    Raises:
        ValueError: If one is not its default.
    """
    usual = {parameter.name: parameter.default for parameter in settings_of(part)}
    for name, value in given.items():
        value = tuple(value) if isinstance(value, list) else value
        if value != usual[name]:
            raise ValueError(
                f'{key}.{name}: {cause}, so it would be unused: remove it, or set its default '
                f'{usual[name]!r}'
            )
