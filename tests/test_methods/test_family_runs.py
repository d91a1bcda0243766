# Copyright (c) mmseg_ctt contributors.
"""Whole runs of every method: keys, exact resume, and the losses that are kept as a record."""

import json
import math
from pathlib import Path

import pytest
import torch
from family import EVERY_METHOD, METHODS, RECIPES
from record_losses import ASSETS, ITERATIONS, run_losses, toy_run
from toy_data import write_toy_data
from versions import RECORDED

LAST, STOPS = 6, (2, 4)  # one while the contrast waits, and one after
ALIGNMENT = dict(type='DistributionAlignmentHook', frequency=[10, 9, 9, 8], steps=3)
REMEDY = 'python tests/record_losses.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_toy_data(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module', params=RECIPES.values(), ids=list(RECIPES))
def whole(request, root, tmp_path_factory):
    """A recipe, its folder and the losses of an uninterrupted run."""
    recipe, work = request.param, tmp_path_factory.mktemp('whole')
    return recipe, work, trained(recipe, root, work)


def trained(recipe, root, work, resume=None):
    settings = {**recipe.settings, **recipe.run}
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=2))
    if recipe.method.uses_pseudo_labels:
        hooks['alignment'] = ALIGNMENT
    changes = dict(resume=resume is not None, load_from=resume)
    return run_losses(toy_run(recipe.kind, root, work, settings, hooks, LAST, **changes))


def saved(work, iteration):
    """A checkpoint, without the checks of a resumed run, which take longer than the loading."""
    return torch.load(work / f'iter_{iteration}.pth', weights_only=False)


def test_keys_are_equal_in_every_iteration(whole):
    _, _, losses = whole
    assert sorted(losses) == list(range(1, LAST + 1))
    assert all(set(values) == set(losses[1]) for values in losses.values())
    assert all(math.isfinite(value) for values in losses.values() for value in values.values())


def test_the_run_has_states_to_be_resumed(whole):
    """Weights, followers and memories move in every stretch between two stops."""
    recipe, work, _ = whole
    states = [saved(work, i)['state_dict'] for i in (*STOPS, LAST)]
    assert {state['num_updates'].item() for state in states} in ({0}, {*STOPS, LAST})
    for before, after in zip(states, states[1:]):
        moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
        groups = {key.split('.')[0] for key in moved}
        assert 'students' in groups
        assert ('alignment' in groups) == recipe.method.uses_pseudo_labels
        assert ('teachers' in groups) == any(key.startswith('teachers.') for key in after)
    if 'contrast.on' in states[0]:
        assert [bool(state['contrast.on']) for state in states] == [False, True, True]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(whole, root, tmp_path):
    recipe, work, losses = whole
    expected = saved(work, LAST)
    for stop in STOPS:
        again = tmp_path / f'from{stop}'
        resumed = trained(recipe, root, again, str(work / f'iter_{stop}.pth'))
        assert resumed == {number: losses[number] for number in losses if number > stop}
        made = saved(again, LAST)
        assert expected['state_dict'].keys() == made['state_dict'].keys()
        for name, value in expected['state_dict'].items():
            assert torch.equal(value, made['state_dict'][name]), name
        for index, moments in expected['optimizer']['state'].items():
            other = made['optimizer']['state'][index]
            assert torch.equal(moments['momentum_buffer'], other['momentum_buffer'])


# ---- losses that are kept as a record


@RECORDED
@EVERY_METHOD
def test_losses_are_those_on_record(kind, root, tmp_path):
    """Numbers change on purpose only: record them again, and say why in CHANGELOG.md."""
    path = ASSETS / f'{kind}.json'
    assert path.is_file(), f'{kind} has no losses on record: run {REMEDY} {kind}'
    recorded = json.loads(path.read_text())['losses']
    losses = run_losses(toy_run(kind, root, tmp_path))
    assert len(recorded) == len(losses) == ITERATIONS
    for key in recorded[0]:
        counts_failures = key.endswith('_without_negative')  # 0 as long as all is well
        at_work = any(values[key] > 0 for values in recorded) or counts_failures
        assert at_work, f'{key} is always 0: change toy_settings of {kind}'
    for number, (values, want) in enumerate(zip(losses.values(), recorded), 1):
        assert set(values) == set(want), f'iteration {number}: other keys; run {REMEDY} {kind}'
        # rounding grows from step to step
        close = pytest.approx(want, rel=1e-5 * number, abs=1e-7 * number)
        assert values == close, f'iteration {number}: if on purpose, run {REMEDY} {kind}'


def test_no_record_is_left_of_a_method_that_is_gone():
    assert sorted(path.stem for path in ASSETS.glob('*.json')) == METHODS
