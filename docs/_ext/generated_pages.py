# Copyright (c) mmseg_ctt contributors.
"""Fills marked lines of pages from the package itself, so that a new class appears by itself.

A line ``<!-- methods -->`` becomes the settings of every method, ``<!-- parts -->`` those of the
parts that methods are made of, ``<!-- registered classes -->`` those of everything else in mmseg's
registries, ``<!-- public names -->`` all other public functions and classes, ``<!-- configs -->``
the tables of all config files.
"""

import inspect
from typing import Any, Optional, Tuple

from config_tables import config_tables
from inventory import augmentation_steps, methods, parts, public, registered
from method_settings import defaults_table
from replaced_blocks import MADE
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

from mmseg_ctt.methods import SemiSegmentor

TITLES = {
    'DATASETS': 'Data sets',
    'DATA_SAMPLERS': 'Samplers',
    'EVALUATOR': 'Evaluators',
    'HOOKS': 'Hooks',
    'LOOPS': 'Loops',
    'METRICS': 'Metrics',
    'MODELS': 'Parts in the registry of models',
    'OPTIM_WRAPPER_CONSTRUCTORS': 'Optimiser constructors',
    'TRANSFORMS': 'Transforms',
    'VISUALIZERS': 'Visualizers',
}


def directive(kind: str, thing: object, *options: str) -> str:
    """An autodoc directive in a Markdown page."""
    name = f'{thing.__module__}.{thing.__qualname__}'
    lines = [f'.. {kind}:: {name}', *(f'   {option}' for option in options)]
    return '\n'.join(['```{eval-rst}', *lines, '```', ''])


def method_settings() -> str:
    """What every method has, then one section a method with its own settings and its defaults."""
    sections = [directive('autoclass', SemiSegmentor, ':no-index:')]
    for name, cls in methods().items():
        sections += [f'### {name}\n', directive('autoclass', cls), defaults_table(cls)]
    return '\n'.join(sections)


def part_settings() -> str:
    """Parts of methods, and steps of the strong augmentation; the reference has their methods."""
    names = [directive('autoclass', cls, ':no-index:') for cls in parts()]
    steps = [directive('autoclass', cls, ':no-index:') for cls in augmentation_steps()]
    return '\n'.join([*names, '### Steps of the strong augmentation\n', *steps])


def registered_classes() -> str:
    """One section a registry, without the methods."""
    own = set(methods().values())
    return '\n'.join(
        f'## {TITLES.get(name, name)}\n\nIn `mmseg.registry.{name}`.\n\n'
        + '\n'.join(directive('autoclass', cls) for cls in classes if cls not in own)
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
    '<!-- methods -->': method_settings,
    '<!-- parts -->': part_settings,
    '<!-- registered classes -->': registered_classes,
    '<!-- public names -->': public_names,
    '<!-- configs -->': config_tables,
}


def fill(app: Sphinx, page: str, source: list) -> None:
    """Replace the marks of a page."""
    for mark, text in PAGES.items():
        if mark in source[0].splitlines():
            source[0] = source[0].replace(mark, text())
    source[0] = MADE.sub(lambda block: PAGES[f'<!-- {block[1]} -->'](), source[0])


def skip(
    app: Sphinx, kind: str, name: str, value: object, skipped: bool, options: Any
) -> Optional[bool]:
    """Leave out the fields of named tuples, which the docstring of the class describes."""
    return True if type(value).__name__ == '_tuplegetter' else None


def own_signature(
    app: Sphinx, kind: str, name: str, thing: Any, options: Any, given: str, returned: str
) -> Optional[Tuple[str, str]]:
    """Signature of a method: its own settings, in place of those that every method has."""
    if not (inspect.isclass(thing) and issubclass(thing, SemiSegmentor)) or thing is SemiSegmentor:
        return None
    own = signature(thing.build, bound_method=True)
    text = stringify_signature(own, show_return_annotation=False, unqualified_typehints=True)
    return ', '.join(filter(None, ['(segmentor', text[1:-1], '**settings)'])), ''


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect('source-read', fill)
    app.connect('autodoc-process-signature', own_signature)
    app.connect('autodoc-skip-member', skip)
    return dict(parallel_read_safe=True)
