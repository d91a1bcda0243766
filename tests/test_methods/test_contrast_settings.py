# Copyright (c) mmseg_ctt contributors.
"""Numbers of contrasts and their memories that are out of range, or of another type."""

import pytest
from family import METHODS
from toy import toy_model, toy_settings

from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.signatures import settings_of

WITH_CONTRAST = [
    kind
    for kind in METHODS
    if 'contrast' in [value.name for value in settings_of(registered_methods()[kind].build)]
]
# by setting, for every method that has it; further ones of methods whose range is another
BAD = dict(
    threshold=(75, -0.1),
    peer_threshold=(-3, 1.5),
    bank_threshold=(5.0, -1),
    anchor_threshold=(30, -1),
    negative_threshold=(-1, 1.1),
    positive_threshold=(1.5,),
    weak_threshold=(-0.1,),
    strong_threshold=(2,),
    confidence_threshold=(95,),
    temperature=(0, -1, float('nan')),
    temperature_high=(0,),
    temperature_low=(-1,),
    momentum=(1.5, -0.1),
    dropout=(1, -0.5),
    pool=(1.5, 0, True),
    dim=(0, 2.5),
    num_anchors=(0, 1.5),
    num_queries=(0,),
    num_negatives=(2.5,),
    max_anchors=(0,),
    chunk_elements=(0, 1.5),
    ranks=((3, 2), (0, 4), 3),
    seed=(1.5,),
    epsilon=(-1,),
)
BANK = dict(size=(2.5, 0), budget=(0, 1.5, 10**6))


def contrast_of(kind):
    return type(toy_model(kind, **toy_settings(kind)).contrast)


def bad_of(part):
    return {value.name for value in settings_of(part)} & set(BAD)


def refused(kind, key, **part):
    given = toy_settings(kind)
    changed = {name: {**given.get(name, {}), **values} for name, values in part.items()}
    if key == 'contrast.confidence_threshold':
        changed['contrast']['admitted'] = 'confident'
    with pytest.raises((TypeError, ValueError)) as caught:
        toy_model(kind, **{**given, **changed})
    assert str(caught.value).startswith(f'model.{key}'), (key, part)


@pytest.mark.parametrize('kind', WITH_CONTRAST)
def test_the_error_names_the_setting(kind):
    part = contrast_of(kind)
    for name in bad_of(part):
        for value in BAD[name]:
            refused(kind, f'contrast.{name}', contrast={name: value})
    if hasattr(part, 'bank_part'):
        for name, values in BANK.items():
            for value in values:
                refused(kind, f'bank.{name}', bank={name: value})


def test_every_bad_value_is_of_some_method():
    assert set.union(*(bad_of(contrast_of(kind)) for kind in WITH_CONTRAST)) == set(BAD)


def test_a_logit_has_no_bounds():
    """The released code of CTT compares raw logits."""
    toy_model(contrast=dict(bank_score='logit', bank_threshold=5.0))
