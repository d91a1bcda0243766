# Copyright (c) mmseg_ctt contributors.
"""Libraries of the extras, imported where they are used."""

from importlib import import_module
from typing import Any


def optional_library(module: str, purpose: str, extra: str, package: str = '') -> Any:
    """Import a library that the package itself does not require.

    Args:
        module (str): Such as ``'nibabel'``.
        purpose (str): What needs it, in the plural, for the message.
        extra (str): Extra of this package that installs it.
        package (str): Name to install it by. Defaults to that of the module.

    Raises:
        ValueError: If it is not installed; says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ValueError(
            f"{purpose} need {package or module}: pip install 'mmseg_ctt[{extra}]'"
        ) from None
