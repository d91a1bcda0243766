# Copyright (c) mmseg_ctt contributors.
"""Every setting is documented where it is defined; the pages of settings are made from that."""

import inspect
import re
import sys

import pytest
from pages import PAGES, ROOT, tokens

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

from inventory import (  # noqa: E402
    arguments_section,
    augmentation_steps,
    methods,
    own_arguments,
    parts,
    public,
    registered,
)

from mmseg_ctt.methods import SemiSegmentor, registered_methods  # noqa: E402

CLASSES = sorted(
    {cls for classes in registered().values() for cls in classes}, key=lambda cls: cls.__name__
)
SETTINGS = [*CLASSES, *parts(), *augmentation_steps()]
FUNCTIONS = {
    f'{module.__name__}.{value.__name__}': value
    for module, values in public()
    for value in values
    if inspect.isfunction(value)
}


def documented(thing: object) -> set:
    """Names in the section ``Args:`` of its docstring; an entry may have several."""
    entries = re.findall(
        r'^ {4}((?:\*{0,2}\w+, )*\*{0,2}\w+)(?: \(.*)?:', arguments_section(thing), re.MULTILINE
    )
    return {name.strip('* ') for entry in entries for name in entry.split(',')}


def test_the_inventory_finds_what_is_registered():
    names = {cls.__name__ for cls in CLASSES}
    assert {
        'CrossTeacherTraining',
        'TeacherEMAHook',
        'LabeledUnlabeledSampler',
        'CheckSegMap',
        'MemberValLoop',
        'StudentOptimWrapperConstructor',
        'FolderSegDataset',
    } <= names
    assert 'mmseg_ctt.methods.ctt.functional.high_level_contrast' in FUNCTIONS


def test_the_inventory_finds_methods_and_their_parts():
    assert methods().items() <= registered_methods().items() and len(methods()) > 10
    assert {'CrossContrast', 'ClassThresholds', 'RampUp', 'EqualizedConsistency'} <= {
        cls.__name__ for cls in parts()
    }
    assert {'CutMixing', 'ColorJitter'} <= {cls.__name__ for cls in augmentation_steps()}


@pytest.mark.parametrize('cls', methods().values(), ids=methods())
def test_settings_of_a_method_are_those_of_the_base_and_of_build(cls):
    own = {name for name in inspect.signature(cls.build).parameters if name != 'self'}
    assert own_arguments(SemiSegmentor) == own_arguments(cls)[: len(own_arguments(SemiSegmentor))]
    assert own <= set(own_arguments(cls)) & documented(cls)


@pytest.mark.parametrize('cls', SETTINGS, ids=lambda cls: cls.__name__)
def test_every_argument_is_documented(cls):
    known = {name for parent in cls.__mro__ for name in documented(parent)}
    if 'Args: as :class:' not in inspect.cleandoc(cls.__doc__ or ''):
        assert set(own_arguments(cls)) <= known
    assert not documented(cls) - known


@pytest.mark.parametrize('name', FUNCTIONS)
def test_arguments_of_functions(name):
    """All of them where there is a section for them, and no others."""
    function = FUNCTIONS[name]
    assert inspect.getdoc(function), 'has no docstring'
    listed = documented(function)
    if listed:
        assert listed == set(inspect.signature(function).parameters)


NAMES = {
    name
    for _, values in public()
    for value in values
    for name in (value.__name__, *(f'{value.__name__}.{key}' for key in vars(value)))
}


CLASS_OF = {value.__name__: value for _, values in public() for value in values}


@pytest.mark.parametrize('page', [page for page in PAGES if page.startswith('docs/methods/')])
def test_formulae_are_computed_by_what_exists(page):
    """The items "Computed by" of a method's page name functions, classes, and their settings."""
    for block in tokens(page):
        children = block.children or []
        if all(part.content != 'Computed by' for part in children):
            continue
        pieces = {part.content for part in children if part.type == 'code_inline'}
        named = {piece for piece in pieces if '=' not in piece}
        assert named and named <= NAMES, named - NAMES
        kinds = [SemiSegmentor, *(CLASS_OF[n] for n in named if inspect.isclass(CLASS_OF.get(n)))]
        known = {name for kind in kinds for name in own_arguments(kind)}
        settings = {piece.partition('=')[0] for piece in pieces - named}
        assert settings <= known, settings - known
