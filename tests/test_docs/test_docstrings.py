# Copyright (c) mmseg_ctt contributors.
"""Every setting is documented where it is defined; the pages of settings are made from that."""

import inspect
import re
import sys

import pytest
from pages import PAGES, ROOT, tokens

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

from inventory import own_arguments, public, registered  # noqa: E402

CLASSES = sorted(
    {cls for classes in registered().values() for cls in classes}, key=lambda cls: cls.__name__
)
FUNCTIONS = {
    f'{module.__name__}.{value.__name__}': value
    for module, values in public()
    for value in values
    if inspect.isfunction(value)
}


def documented(thing: object) -> set:
    """Names in the section ``Args:`` of its docstring."""
    text = inspect.cleandoc(thing.__doc__ or '')
    section = re.search(r'^Args:\n((?:[ ]+.*\n?|\n)*)', text, re.MULTILINE)
    return set(
        re.findall(r'^ {4}\*{0,2}(\w+)(?: \(.*)?:', section[1], re.MULTILINE) if section else ()
    )


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


@pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
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


@pytest.mark.parametrize('page', [page for page in PAGES if page.startswith('docs/methods/')])
def test_formulae_are_computed_by_what_exists(page):
    """The items "Computed by" of a method's page name functions and classes of the package."""
    for block in tokens(page):
        parts = block.children or []
        if any(one.content == 'Computed by' for one in parts):
            named = {one.content for one in parts if one.type == 'code_inline'}
            assert named and named <= NAMES, named - NAMES
