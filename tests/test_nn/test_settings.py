# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
from mmseg.registry import MODELS
from torch import nn

from mmseg_ctt.nn import settings
from mmseg_ctt.nn.signatures import inherited_settings, settings_of

RENAMED = dict(old='model.new')


@MODELS.register_module()
class ToyPart(nn.Module):
    """A part with a setting that must be given and one that the method gives."""

    def __init__(self, width: int, strength: float, number: int = 3, **kwargs) -> None:
        super().__init__()
        self.width, self.strength, self.number, self.kwargs = width, strength, number, kwargs


class StrictPart(nn.Module):
    def __init__(self, width: int, strength: float = 1.0) -> None:
        super().__init__()
        self.width, self.strength = width, strength


def build(given, part=StrictPart, defaults=None, **own):
    return settings.build_part('part', given, part, defaults, RENAMED, **{'width': 2, **own})


def test_defaults_of_the_method_lie_between_the_class_and_the_config():
    assert build(None).strength == 1
    assert build(None, defaults=dict(strength=2)).strength == 2
    assert build(dict(strength=3), defaults=dict(strength=2)).strength == 3


def test_given_settings_are_left_alone():
    given = dict(type='ToyPart', strength=2)
    build(given, 'ToyPart')
    assert given == dict(type='ToyPart', strength=2)


def test_a_name_may_be_replaced_by_another_registered_class():
    part = build(dict(type=StrictPart), 'ToyPart')
    assert isinstance(part, StrictPart)
    part = build(dict(strength=2, more=5), 'ToyPart')
    assert isinstance(part, ToyPart) and part.kwargs == dict(more=5)
    with pytest.raises(ValueError, match="^model.part.type='Absent' is not registered: .*imports"):
        build(dict(type='Absent'), 'ToyPart')


@pytest.mark.parametrize(
    'given,message',
    [
        (
            dict(strenght=1),
            r"^model.part has unknown settings \['strenght'\]; known .*'strength'\]$",
        ),
        (dict(width=3), r"^model.part has unknown settings \['width'\]"),  # the method gives it
        (dict(type='ToyPart'), r"^model.part has unknown settings \['type'\]"),
        (dict(old=1), r'^model.part: old of version 0.1 is now model.new$'),
    ],
)
def test_unknown_settings(given, message):
    with pytest.raises(ValueError, match=message) as error:
        build(given)
    assert "'self'" not in str(error.value) and '\n' not in str(error.value)


def test_missing_setting():
    with pytest.raises(ValueError, match=r"^model.part lacks the settings \['strength'\]$"):
        build(None, 'ToyPart')


@pytest.mark.parametrize('given', ['strong', 3, [1]])
def test_settings_that_are_no_dict(given):
    with pytest.raises(TypeError, match='^model.part must be a dict of settings, got'):
        build(given)


def test_a_part_that_can_be_switched_off():
    def optional(given):
        return settings.build_optional('part', given, StrictPart, dict(strength=2), width=2)

    assert optional(False) is None and optional(True).strength == 2
    assert optional(dict(strength=3)).strength == 3
    for given in (None, 1, 'on'):
        with pytest.raises(TypeError, match=r'^model.part must be True, False \(off\) or a dict'):
            optional(given)


def test_loss_weights_are_merged_and_their_names_checked():
    defaults = dict(sup=1.0, ct=0.5)
    assert settings.loss_weights(None, defaults) == defaults
    assert settings.loss_weights(dict(ct=2), defaults) == dict(sup=1.0, ct=2)
    assert defaults == dict(sup=1.0, ct=0.5)
    with pytest.raises(ValueError, match=r"^model.loss_weights has unknown terms \['hc'\]; known"):
        settings.loss_weights(dict(hc=1), defaults)
    with pytest.raises(TypeError, match='^model.loss_weights must be a dict of settings, got 3$'):
        settings.loss_weights(3, defaults)


@pytest.mark.parametrize('weight', [None, '1', [1.0], True])
def test_a_loss_weight_that_is_no_number(weight):
    with pytest.raises(TypeError, match='^model.loss_weights.ct must be a number, got'):
        settings.loss_weights(dict(ct=weight), dict(sup=1.0, ct=0.5))


@pytest.mark.parametrize('weight', [float('nan'), float('inf'), -float('inf')])
def test_a_loss_weight_that_is_not_finite(weight):
    with pytest.raises(ValueError, match='^model.loss_weights.ct must be finite, got'):
        settings.loss_weights(dict(ct=weight), dict(sup=1.0, ct=0.5))


@pytest.mark.parametrize('value', [0, 1, 0.5, np.float32(0.5), np.int64(1)])
def test_numbers(value):
    settings.check_number('model.part.ratio', value, 0, 1)


@pytest.mark.parametrize(
    'value,bounds,message',
    [
        (2, (0, 1), r'must be in \[0, 1\], got 2'),
        (-0.1, (0, 1), r'must be in \[0, 1\], got -0.1'),
        (float('nan'), (0, 1), r'must be in \[0, 1\], got nan'),
        (0, (1,), 'must be at least 1, got 0'),
        (float('inf'), (1,), 'must be at least 1, got inf'),
    ],
)
def test_numbers_out_of_bounds(value, bounds, message):
    with pytest.raises(ValueError, match=f'^model.part.ratio {message}$'):
        settings.check_number('model.part.ratio', value, *bounds)


@pytest.mark.parametrize('value', [(0, 1), [0.2, 0.2], (0.0, 0.5)])
def test_ranges(value):
    settings.check_range('model.part.area', value, 0, 1)


@pytest.mark.parametrize('value', [0.5, None, '01', (1,), (0, 1, 2), ('0', 1), {0: 1, 1: 1}])
def test_ranges_that_are_not_two_numbers(value):
    with pytest.raises(TypeError, match='^model.part.area must be two numbers, such as .*, got'):
        settings.check_range('model.part.area', value, 0, 1)


@pytest.mark.parametrize(
    'value,bounds,message',
    [
        ((2, 3), (0, 1), r'is no range in \[0, 1\]: give the lower end first'),
        ((0.6, 0.5), (0, 1), r'is no range in \[0, 1\]'),
        ((float('nan'), 0.5), (0, 1), r'is no range in \[0, 1\]'),
        ((0, 0), (), 'is no range above 0'),
        ((0.5, float('inf')), (), 'is no range above 0'),
    ],
)
def test_ranges_out_of_bounds(value, bounds, message):
    with pytest.raises(ValueError, match=rf'^model.part.area=\(.*\) {message}'):
        settings.check_range('model.part.area', value, *bounds)


def test_choices():
    settings.check_choice('model.mode', 'b', ('a', 'b'))
    with pytest.raises(ValueError, match=r"^model.mode must be one of \('a', 'b'\), got 'c'$"):
        settings.check_choice('model.mode', 'c', ('a', 'b'))


def test_settings_of_a_function():
    def function(self, first, second=2, *rest, third, **more):
        """Has all kinds of parameters."""

    names = [parameter.name for parameter in settings_of(function, without=['third'])]
    assert names == ['first', 'second']


def test_signatures_are_those_of_today(monkeypatch):
    """They are kept for functions alone, which do not change."""

    class Part:
        def __init__(self, first):
            pass

        def __call__(self, third):
            pass

        __hash__ = None

    assert [parameter.name for parameter in settings_of(Part)] == ['first']
    assert [parameter.name for parameter in settings_of(Part(0))] == ['third']
    monkeypatch.setattr(Part, '__init__', lambda self, second: None)
    assert [parameter.name for parameter in settings_of(Part)] == ['second']
    names = [parameter.name for parameter in inherited_settings(Part, '__init__')]
    assert names == ['second']
