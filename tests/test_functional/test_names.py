# Copyright (c) mmseg_ctt contributors.
"""Names of the functional core, and its table of the functions that methods define."""

import importlib
import inspect
import pkgutil

import pytest

import mmseg_ctt
from mmseg_ctt import functional, methods

CONTRACT = (
    'high_level_contrast',
    'low_level_contrast',
    'confident_fraction_cross_entropy',
    'pseudo_label',
    'class_mix_mask',
    'cut_mix_mask',
    'mix',
    'ema_update_',
    'entropy_partition',
    'unreliable_contrast',
    'confidence_bank_update',
    'equalized_consistency',
    'mismatch_score',
    'anchor_contrast',
    'negative_label_loss',
    'class_rebalanced_selection',
    'distribution_alignment',
)
PURE = ('functional', 'losses', 'entropy')  # files of a method that hold mathematics


def public(module):
    """Functions and classes that a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith('_')
        and getattr(value, '__module__', None) == module.__name__
        and value.__name__ == name  # no second name
        and (inspect.isfunction(value) or inspect.isclass(value))
    }


def method_modules():
    names = (info.name for info in pkgutil.walk_packages(methods.__path__, f'{methods.__name__}.'))
    return [name for name in names if name.rpartition('.')[2] in PURE]


@pytest.mark.parametrize('name', CONTRACT)
def test_contract(name):
    assert callable(getattr(functional, name)) and name in functional.__all__


def test_every_name_of_all_exists():
    assert len(functional.__all__) == len(set(functional.__all__))
    for name in functional.__all__:
        assert callable(getattr(functional, name))
        assert name in dir(functional)
    with pytest.raises(AttributeError, match='no_such_function'):
        functional.no_such_function  # noqa: B018


def test_the_table_names_every_file_of_a_method():
    listed = {f'{mmseg_ctt.__name__}.{name}' for name in functional.METHODS}
    assert listed == set(method_modules())
    assert len(listed) > 5


@pytest.mark.parametrize('name', method_modules())
def test_the_table_names_what_a_file_defines(name):
    listed = functional.METHODS[name.partition('.')[2]]
    assert list(listed) == sorted(public(importlib.import_module(name)))
