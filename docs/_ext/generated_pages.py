# Copyright (c) mmseg_ctt contributors.
"""Fills marked lines of pages from the package itself, so that a new class appears by itself.

A line ``<!-- registered classes -->`` becomes the settings of everything in mmseg's registries,
``<!-- public names -->`` all other public functions and classes, ``<!-- configs -->`` the tables of
all config files.
"""

import inspect
from typing import Any, Optional

from config_tables import config_tables
from inventory import public, registered
from sphinx.application import Sphinx

TITLES = {
    'DATASETS': 'Data sets',
    'DATA_SAMPLERS': 'Samplers',
    'EVALUATOR': 'Evaluators',
    'HOOKS': 'Hooks',
    'LOOPS': 'Loops',
    'METRICS': 'Metrics',
    'MODELS': 'Models',
    'OPTIM_WRAPPER_CONSTRUCTORS': 'Optimiser constructors',
    'TRANSFORMS': 'Transforms',
    'VISUALIZERS': 'Visualizers',
}


def directive(kind: str, thing: object, *options: str) -> str:
    """An autodoc directive in a Markdown page."""
    name = f'{thing.__module__}.{thing.__qualname__}'
    lines = [f'.. {kind}:: {name}', *(f'   {option}' for option in options)]
    return '\n'.join(['```{eval-rst}', *lines, '```', ''])


def registered_classes() -> str:
    """One section a registry."""
    return '\n'.join(
        f'## {TITLES.get(name, name)}\n\nIn `mmseg.registry.{name}`.\n\n'
        + '\n'.join(directive('autoclass', cls) for cls in classes)
        for name, classes in registered().items()
    )


def public_names() -> str:
    """One section a module."""
    settings = {cls for classes in registered().values() for cls in classes}
    sections = []
    for module, names in public():
        rest = [name for name in names if name not in settings]
        if rest:
            summary = (inspect.getdoc(module) or '').split('\n\n')[0].replace('\n', ' ')
            sections.append('\n'.join([f'## {module.__name__}\n', summary, '', *map(entry, rest)]))
    return '\n'.join(sections)


def entry(thing: object) -> str:
    """A function, or a class with its public methods."""
    if inspect.isfunction(thing):
        return directive('autofunction', thing)
    return directive('autoclass', thing, ':members:')


PAGES = {
    '<!-- registered classes -->': registered_classes,
    '<!-- public names -->': public_names,
    '<!-- configs -->': config_tables,
}


def fill(app: Sphinx, page: str, source: list) -> None:
    """Replace the marks of a page."""
    for mark, text in PAGES.items():
        if mark in source[0].splitlines():
            source[0] = source[0].replace(mark, text())


def skip(
    app: Sphinx, kind: str, name: str, value: object, skipped: bool, options: Any
) -> Optional[bool]:
    """Leave out the fields of named tuples, which the docstring of the class describes."""
    return True if type(value).__name__ == '_tuplegetter' else None


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect('source-read', fill)
    app.connect('autodoc-skip-member', skip)
    return dict(parallel_read_safe=True)
