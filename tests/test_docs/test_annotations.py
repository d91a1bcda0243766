# Copyright (c) mmseg_ctt contributors.
"""Everything public says what it takes and gives."""

import inspect
import sys

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

from inventory import public  # noqa: E402


def functions():
    """Public functions and methods by name."""
    for module, values in public():
        for value in values:
            name = f'{module.__name__}.{value.__name__}'
            if inspect.isfunction(value):
                yield name, value
                continue
            for key, method in vars(value).items():
                open_ = key == '__init__' or not key.startswith('_')
                if inspect.isfunction(method) and open_ and method.__module__ == module.__name__:
                    yield f'{name}.{key}', method


FUNCTIONS = dict(functions())


@pytest.mark.parametrize('name', FUNCTIONS)
def test_annotated(name):
    signature = inspect.signature(FUNCTIONS[name])
    lacking = [
        one.name
        for one in signature.parameters.values()
        if one.annotation is one.empty and one.name not in ('self', 'cls')
    ]
    assert not lacking
    assert name.endswith('__init__') or signature.return_annotation is not signature.empty
