# Copyright (c) mmseg_ctt contributors.
"""What the package offers: registered classes, and public functions and classes by module."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Dict, List, Optional, Tuple

import mmseg.registry
from mmengine.registry import Registry

import mmseg_ctt

PACKAGE = mmseg_ctt.__name__


def modules() -> List[ModuleType]:
    """Every public module of the package, in the order of their names."""
    found = pkgutil.walk_packages(mmseg_ctt.__path__, f'{PACKAGE}.')
    names = [info.name for info in found if '._' not in info.name]
    return [mmseg_ctt, *filter(None, map(load, sorted(names)))]


def load(name: str) -> Optional[ModuleType]:
    """Import a module; None if it needs a package of an extra that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).split('.')[0] == PACKAGE:
            raise
        return None


def registered() -> Dict[str, List[type]]:
    """Classes of the package by the name of the mmseg registry they are in."""
    modules()  # some may register only when imported
    classes = {}
    for name, registry in vars(mmseg.registry).items():
        if isinstance(registry, Registry):
            own = {
                cls
                for cls in registry.module_dict.values()
                if cls.__module__.split('.')[0] == PACKAGE
            }
            classes[name] = sorted(own, key=lambda cls: cls.__name__)
    return {name: own for name, own in sorted(classes.items()) if own}


def public() -> List[Tuple[ModuleType, list]]:
    """Functions and classes without a leading underscore, by the module that defines them."""
    return [
        (module, own)
        for module in modules()
        if (
            own := [
                value
                for name, value in vars(module).items()
                if not name.startswith('_')
                and getattr(value, '__module__', None) == module.__name__
                and (inspect.isfunction(value) or inspect.isclass(value))
            ]
        )
    ]


def own_arguments(cls: type) -> List[str]:
    """Arguments that the class itself or a parent in the package takes by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = []
    for parent in reversed(cls.__mro__):
        init = vars(parent).get('__init__')
        if parent.__module__.split('.')[0] == PACKAGE and inspect.isfunction(init):
            parameters = list(inspect.signature(init).parameters.values())[1:]
            names += [one.name for one in parameters if one.kind in kinds]
    return list(dict.fromkeys(names))
