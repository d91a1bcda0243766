# Copyright (c) mmseg_ctt contributors.
import pytest
from mmseg.registry import MODELS
from torch import nn
from toy import toy_model

PARTS = {  # of every method, the nested settings and one that each knows
    'CrossTeacherTraining': dict(
        bank='size', contrast='temperature_high', strong_view='mix', class_thresholds='momentum'
    ),
    'STPG': dict(bank='size', contrast='temperature', strong_view='mix'),
    'U2PL': dict(bank='size', contrast='temperature', strong_view='mix'),
    'AEL': dict(
        consistency='gamma',
        bank='momentum',
        copy_paste='tail',
        cut_mix='adaptive',
        strong_view='jitter',
    ),
    'DualNegativeLabel': dict(strong_view='mix'),
    'GuidedMixNet': dict(mitrans='reduction'),
}
CASES = [(kind, key, known) for kind, parts in PARTS.items() for key, known in parts.items()]
OWN = [  # what the method gives itself is no setting of the config
    ('CrossTeacherTraining', dict(bank=dict(num_banks=3)), r"model\.bank .*\['num_banks'\]"),
    ('CrossTeacherTraining', dict(contrast=dict(bank={})), r"model\.contrast .*\['bank'\]"),
    ('STPG', dict(contrast=dict(width=3)), r"model\.contrast .*\['width'\]"),
    ('U2PL', dict(contrast=dict(num_classes=3)), r"model\.contrast .*\['num_classes'\]"),
    ('AEL', dict(consistency=dict(confident=1)), r"model\.consistency .*\['confident'\]"),
]


@MODELS.register_module()
class ViewThatAsks(nn.Module):
    """A strong view of somebody else, with a setting that must be given."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength


@pytest.mark.parametrize('kind,key,known', CASES)
def test_misspelt_setting_is_named_with_the_known_ones(kind, key, known):
    with pytest.raises(
        ValueError,
        match=rf"^model\.{key} has unknown settings \['temprature'\]; "
        rf".*'{known}'.*\]$",
    ) as error:
        toy_model(kind, **{key: dict(temprature=1)})
    assert "'self'" not in str(error.value) and "'num_classes'" not in str(error.value)


@pytest.mark.parametrize('kind,key', [case[:2] for case in CASES])
@pytest.mark.parametrize('given', ['strong', 3, [1]])
def test_settings_that_are_no_dict(kind, key, given):
    with pytest.raises(TypeError, match=rf'^model\.{key} must be .*dict of settings, got'):
        toy_model(kind, **{key: given})


@pytest.mark.parametrize('kind,settings,message', OWN)
def test_what_the_method_gives_is_no_setting(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(kind, **settings)


@pytest.mark.parametrize(
    'kind',
    [
        kind
        for kind, parts in PARTS.items()
        if 'strong_view' in parts and kind not in ('AEL', 'STPG', 'U2PL')
    ],
)
def test_another_registered_part(kind):
    view = dict(type='ViewThatAsks')
    assert toy_model(kind, strong_view={**view, 'strength': 2}).strong_view.strength == 2
    with pytest.raises(ValueError, match=r"^model\.strong_view lacks the settings \['strength'\]"):
        toy_model(kind, strong_view=view)
    with pytest.raises(ValueError, match=r"unknown settings \['mix'\]; known are \['strength'\]"):
        toy_model(kind, strong_view={**view, 'strength': 2, 'mix': None})
    with pytest.raises(ValueError, match=r"model\.strong_view\.type='Absent' is not registered"):
        toy_model(kind, strong_view=dict(type='Absent'))


@pytest.mark.parametrize('kind', PARTS)
def test_loss_weights_that_are_no_dict(kind):
    with pytest.raises(TypeError, match=r'^model\.loss_weights must be a dict of settings, got 3'):
        toy_model(kind, loss_weights=3)


@pytest.mark.parametrize('key', ['copy_paste', 'cut_mix'])
def test_a_switch_is_on_off_or_settings_and_not_none(key):
    assert getattr(toy_model('AEL', **{key: True}), key) is not None
    assert getattr(toy_model('AEL', **{key: False}), key) is None
    with pytest.raises(TypeError, match=rf'^model\.{key} must be True, False .*, got None'):
        toy_model('AEL', **{key: None})
