# Copyright (c) mmseg_ctt contributors.
"""What the package offers: registered classes, and public functions and classes by module."""

import importlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Dict, List, Optional, Tuple, Type

import mmseg.registry
from mmengine.registry import Registry

import mmseg_ctt
from mmseg_ctt.methods import SemiSegmentor
from mmseg_ctt.nn.augmentation import AUGMENTATION_STEPS

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
                and value.__name__ == name  # not a former name
            ]
        )
    ]


def methods() -> Dict[str, Type[SemiSegmentor]]:
    """Registered methods by name."""
    models = registered()['MODELS']
    return {cls.__name__: cls for cls in models if issubclass(cls, SemiSegmentor)}


def augmentation_steps() -> List[type]:
    """Registered steps of the strong augmentation."""
    return [cls for _, cls in sorted(AUGMENTATION_STEPS.module_dict.items())]


def parts() -> List[type]:
    """Classes with settings that are in no registry, such as the contrast of a method.

    They are those that the ``Args`` of a registered model, or of such a part, refer to.
    """
    known = {value.__name__: value for _, values in public() for value in values}
    listed = {cls for classes in registered().values() for cls in classes}
    found: Dict[str, type] = {}
    pending: List[type] = [SemiSegmentor, *registered()['MODELS']]
    while pending:
        cls = pending.pop()
        names = re.findall(r':class:`(\w+)`', arguments_section(cls))
        kinds = [known[name] for name in names if name in known]
        kinds += [getattr(cls, 'consistency_class', None)]
        for kind in kinds:
            if inspect.isclass(kind) and kind not in listed and _is_part(kind, found):
                found[kind.__name__] = kind
                pending.append(kind)
    return [found[name] for name in sorted(found)]


def _is_part(kind: type, found: Dict[str, type]) -> bool:
    steps = augmentation_steps()
    return kind.__name__ not in found and kind not in steps and not issubclass(kind, SemiSegmentor)


def arguments_section(cls: type) -> str:
    """Section ``Args`` of a docstring, unindented; empty if there is none."""
    text = inspect.cleandoc(cls.__doc__ or '')
    section = re.search(r'^Args:\n((?:[ ]+.*\n?|\n)*)', text, re.MULTILINE)
    return section[1] if section else ''


def own_arguments(cls: type) -> List[str]:
    """Settings that the class itself or a parent in the package takes by name.

    Those of a method are the arguments of ``SemiSegmentor`` and of its ``build``.
    """
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    functions = [
        vars(parent).get('__init__')
        for parent in reversed(cls.__mro__)
        if parent.__module__.split('.')[0] == PACKAGE
    ]
    if issubclass(cls, SemiSegmentor):
        functions.append(cls.build)
    names = []
    for function in filter(inspect.isfunction, functions):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        names += [parameter.name for parameter in parameters if parameter.kind in kinds]
    return list(dict.fromkeys(names))
