# Copyright (c) mmseg_ctt contributors.
import pytest
from mmseg.registry import MODELS
from torch import nn

from mmseg_ctt.nn import settings

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


def test_choices():
    settings.check_choice('model.mode', 'b', ('a', 'b'))
    with pytest.raises(ValueError, match=r"^model.mode must be one of \('a', 'b'\), got 'c'$"):
        settings.check_choice('model.mode', 'c', ('a', 'b'))


def test_settings_of_a_function():
    def function(self, first, second=2, *rest, third, **more):
        """Has all kinds of parameters."""

    names = [parameter.name for parameter in settings.settings_of(function, without=['third'])]
    assert names == ['first', 'second']
