# Copyright (c) mmseg_ctt contributors.
"""What every method says about wrong settings, in one sentence that names the key."""

import inspect
import re
from typing import get_type_hints

import pytest
import torch
from family import EVERY_METHOD, METHODS, METHODS_WITH_MASKS, RECIPES, aspp_segmentor, ready
from torch import nn
from toy import (
    at_iteration,
    losses_of,
    ready_model,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
)

from mmseg_ctt.methods import SemiSegmentor, registered_methods
from mmseg_ctt.nn import settings
from mmseg_ctt.nn.alignment import MemberAlignment
from mmseg_ctt.nn.consistency import TARGETS, Consistency
from mmseg_ctt.nn.signatures import inherited_settings, settings_of
from mmseg_ctt.nn.supervision import GRAPHS, supervision_graph

OPTIONS = dict(
    strong_augmentation=('default_augmentation', [dict(type='ColorJitter')]),
    consistency=('default_consistency', dict(confidence_threshold=0.5)),
    ramp_up=('ramped_terms', 0.5),
)


def refused(kind, error=ValueError, **given):
    """The sentence with which settings are refused."""
    with pytest.raises(error) as caught:
        toy_model(kind, **toy_settings(kind, **given))
    sentence = str(caught.value)
    assert '\n' not in sentence and "'self'" not in sentence.partition('known are')[2]
    return sentence


def parts_of(kind):
    """Settings of a method that are dicts of settings themselves."""
    method = registered_methods()[kind]
    hints = get_type_hints(method.build)
    own = [
        parameter.name
        for parameter in settings_of(method.build)
        if re.search(r'(?<!Sequence\[)\bdict\b', str(hints.get(parameter.name, '')))
    ]
    return own + (['consistency'] if method.default_consistency is not None else [])


PARTS = [(kind, part) for kind in METHODS for part in parts_of(kind)]


@EVERY_METHOD
def test_unknown_setting(kind):
    sentence = refused(kind, temprature=1)
    assert sentence.startswith(f'model (type={kind}) has unknown settings [')
    known = sentence.partition('known are')[2]
    build = inspect.signature(registered_methods()[kind].build).parameters
    for name in ('segmentor', 'supervision', 'consistency', *list(build)[1:]):
        assert f"'{name}'" in known


@pytest.mark.parametrize('kind,part', PARTS)
def test_unknown_setting_of_a_part(kind, part):
    sentence = refused(kind, **{part: dict(temprature=1)})
    assert sentence.startswith(f"model.{part} has unknown settings ['temprature']; known are [")
    assert 'num_classes' not in sentence  # the method gives it


@pytest.mark.parametrize('kind,part', PARTS)
@pytest.mark.parametrize('given', ['strong', 3, [1]])
def test_settings_of_a_part_that_are_no_dict(kind, part, given):
    sentence = refused(kind, TypeError, **{part: given})
    assert sentence.startswith((f'model.{part} must be', f'model.{part}={given!r} of version'))


def flags_of(parameters):
    return [value.name for value in parameters if value.annotation in (bool, 'bool')]


@EVERY_METHOD
def test_a_text_is_neither_true_nor_false(kind):
    """'no' would count as True."""
    own, model = toy_settings(kind), ready_model(kind)
    for name in flags_of([*inherited_settings(type(model), 'build'), *settings_of(SemiSegmentor)]):
        sentence = refused(kind, (TypeError, ValueError), **{name: 'no'})
        assert sentence.startswith(f'model.{name} must be')
    for part in parts_of(kind):
        built = getattr(model, part, None)
        for name in flags_of(settings_of(type(built))) if isinstance(built, nn.Module) else ():
            changed = {**own.get(part, {}), name: 'no'}
            sentence = refused(kind, (TypeError, ValueError), **{part: changed})
            wrong = f"model.{part}.{name} must be True or False, got 'no'"
            assert sentence == wrong or f"unknown settings ['{name}']" in sentence


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('kind,part', [pair for pair in PARTS if 'consistency' in pair[1]])
def test_every_target_of_a_consistency(kind, part, target):
    """It needs no other setting; a consistency of another kind has no such setting."""
    of_toy = toy_settings(kind).get(part, {})
    try:
        model = ready_model(kind, **{part: dict(of_toy, target=target)})
    except ValueError as error:
        assert "has unknown settings ['target']" in str(error)
        assert type(getattr(ready_model(kind), part)) is not Consistency
        return
    losses = losses_of(model, toy_batch(4, 4))
    assert all(torch.isfinite(value).all() for value in losses.values())


@EVERY_METHOD
def test_former_settings_name_the_new_ones(kind):
    method = registered_methods()[kind]
    own = [parameter.name for parameter in settings_of(method.build)]
    for old, new in {**settings.RENAMED, **method.renamed}.items():
        if old not in own:  # AEL's `bank` is another method's setting
            assert refused(kind, **{old: 1}) == (
                f'model (type={kind}): {old} of version 0.1 is now {new}'
            )


def has(kind, key):
    """Whether a method has an option; an empty dict of defaults is one."""
    return getattr(registered_methods()[kind], OPTIONS[key][0]) not in (None, ())


@EVERY_METHOD
@pytest.mark.parametrize('key', OPTIONS)
def test_an_option_that_a_method_has_not_is_refused_and_not_unused(kind, key):
    if has(kind, key):
        toy_model(kind, **toy_settings(kind, **{key: OPTIONS[key][1]}))
    else:
        given = OPTIONS[key][1]
        assert refused(kind, **{key: given}) == (
            f'model.{key}: {kind} has none, so it would be unused; remove it'
        )


def test_some_methods_lack_an_option_and_others_have_it():
    """The test above has tried both."""
    found = [[has(kind, key) for key in OPTIONS] for kind in METHODS]
    assert all(map(any, zip(*found))) and not all(map(all, found))


SHARED = dict(
    joint_forward=False,
    teacher_mode='eval',
    frozen_teachers=True,
    ramp_up=0.9,
    strong_augmentation=[dict(type='ColorJitter', brightness=0.9, prob=1.0)],
    consistency=dict(confidence_threshold=0.31),
)


@EVERY_METHOD
def test_a_shared_setting_changes_a_loss_or_is_refused(kind):
    at_iteration(20)
    plain, own = losses_of(ready(RECIPES[kind]), toy_batch()), toy_settings(kind)
    for key, given in SHARED.items():
        given = {**own.get(key, {}), **given} if isinstance(given, dict) else given
        try:
            model = ready(RECIPES[kind], **{key: given})
        except ValueError as error:
            assert re.match(rf'model\.{key}: .*(unused|has none)', str(error)), key
            continue
        losses = losses_of(model, toy_batch())
        assert any(not torch.equal(losses[name], plain[name]) for name in plain), key


@EVERY_METHOD
def test_loss_weights(kind):
    sentence = refused(kind, loss_weights=dict(temprature=1))
    assert sentence.startswith("model.loss_weights has unknown terms ['temprature']; known are")
    terms = list(registered_methods()[kind].default_loss_weights)
    terms += ['sup'] * (kind in METHODS_WITH_MASKS)
    assert all(f"'{term}'" in sentence for term in terms)
    assert ("'sup'" in sentence) == (kind in METHODS_WITH_MASKS)
    assert refused(kind, TypeError, loss_weights=3).startswith('model.loss_weights must be a dict')
    for weight in (None, '1') if terms else ():
        sentence = refused(kind, TypeError, loss_weights={terms[-1]: weight})
        assert sentence == f'model.loss_weights.{terms[-1]} must be a number, got {weight!r}'


@pytest.mark.parametrize('kind', sorted(set(METHODS) - set(METHODS_WITH_MASKS)))
def test_an_auxiliary_head_learns_from_masks_alone(kind):
    given = dict(toy_segmentor(), auxiliary_head=toy_segmentor()['decode_head'])
    trains = registered_methods()[kind].trains_heads
    cause = 'has no labelled images' if trains else 'trains the backbone alone'
    assert refused(kind, segmentor=given) == (
        f'model.segmentor.auxiliary_head: {kind} {cause}, so it would be unused; set it to None'
    )


@EVERY_METHOD
@pytest.mark.parametrize(
    'key,given',
    [('teacher_mode', 'frozen'), ('joint_forward', 'teachers'), ('supervision', 'ring')],
)
def test_unknown_choices(kind, key, given):
    sentence = refused(kind, **{key: given})
    assert f'model.{key}' in sentence or 'remove' in sentence
    assert repr(given) in sentence


@EVERY_METHOD
def test_modes(kind):
    modes = registered_methods()[kind].modes
    sentence = refused(kind, mode='unheard of')
    assert sentence.startswith('model.mode') and (not modes or str(tuple(modes))[1:-1] in sentence)
    for mode in modes:
        given = toy_settings(kind, mode=mode, segmentor=aspp_segmentor())
        assert toy_model(kind, **given).mode == mode


@EVERY_METHOD
def test_another_graph_works_or_is_refused(kind):
    method = registered_methods()[kind]
    usual = method.default_num_pairs, method.default_supervision
    works = []
    for graph in GRAPHS:
        for pairs in (1, 2, 3):
            try:
                supervision_graph(graph, pairs)
            except ValueError:
                assert refused(kind, supervision=graph, num_pairs=pairs)
                continue
            given = toy_settings(kind, supervision=graph, num_pairs=pairs)
            try:
                model = toy_model(kind, **given)
            except ValueError as error:
                assert 'num_pairs' in str(error) and '\n' not in str(error)
            else:
                works.append((pairs, graph))
                assert model.predict_on == method.default_predict_on(dict(type=kind, **given))
                assert len(model.students) == pairs
    assert usual in works
    assert works == [usual] or not method.fixed_graph
    given = toy_settings(kind)
    predicts = method.default_predict_on(dict(type=kind, **given))
    assert toy_model(kind, **given).predict_on == predicts


@EVERY_METHOD
def test_member_that_predicts(kind):
    model = toy_model(kind, **toy_settings(kind))
    for name in model.member_names:
        given = dict(test_cfg=dict(predict_on=name))
        assert toy_model(kind, **toy_settings(kind, **given)).predict_on == name
        assert registered_methods()[kind].default_predict_on(given) == name
    sentence = refused(kind, test_cfg=dict(predict_on='teacher7'))
    assert sentence.endswith(f'choose from {", ".join(model.member_names)}')


@EVERY_METHOD
def test_a_subclass_adds_settings_of_its_own(kind):
    """Those of its parent stay."""
    method = registered_methods()[kind]

    class Changed(method):
        def build(self, more: int = 3, **own):
            super().build(**own)
            self.more = more

    assert issubclass(Changed, SemiSegmentor)
    with pytest.raises(ValueError, match=r'unknown settings .*known are .*\'more\''):
        toy_model(Changed, **toy_settings(kind, mroe=1))
    model = toy_model(Changed, **toy_settings(kind, more=4))
    assert model.more == 4 and model.weights == toy_model(kind, **toy_settings(kind)).weights


@EVERY_METHOD
@pytest.mark.parametrize('aligned', [False, True])
def test_students_of_another_output_stride(kind, aligned):
    """They are compared at the size of the images, or refused with the setting."""
    number = len(ready_model(kind).students)
    if number < 2:
        return
    overrides = [None] * (number - 1) + [dict(decode_head=dict(in_index=0))]
    model = ready_model(kind, student_overrides=overrides)
    if aligned:
        target = torch.full((model.num_classes,), 1 / model.num_classes)
        model.alignment = MemberAlignment(model.possible_teachers, target)
    try:
        losses = losses_of(model, toy_batch(4, 4))
    except ValueError as error:
        assert str(error).startswith('model.student_overrides: networks give maps of 8x8 and 16x16')
        return
    assert not aligned  # all members are aligned at once
    assert all(torch.isfinite(value).all() for value in losses.values())
