# Copyright (c) mmseg_ctt contributors.
"""Checkpoints of version 0.1 load; ``assets/checkpoints_0_1.json`` records their entries."""

import json
from functools import reduce
from pathlib import Path
from typing import Dict

import pytest
import torch
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor
from toy import NUM_CLASSES, toy_model
from toy_data import toy_config, toy_ctt

from mmseg_ctt.deploy.api import load_model
from mmseg_ctt.engine.resume import refuse_misfit
from mmseg_ctt.methods import SemiSegmentor, key_map
from mmseg_ctt.nn.alignment import MemberAlignment

RECORDED = json.loads((Path(__file__).parents[1] / 'assets' / 'checkpoints_0_1.json').read_text())
EVERY = pytest.mark.parametrize('name', RECORDED)
RENAMED = {  # entries of version 0.1, and where their values belong
    'ema_updates': lambda model: model.num_updates,
    'contrast_on': lambda model: model.contrast.on,
    'thresholds.confidence': lambda model: model.consistency.class_thresholds.confidence,
    'thresholds.updates': lambda model: model.consistency.class_thresholds.updates,
    'bank.confidence': lambda model: model.class_confidence.confidence,
    'bank.updates': lambda model: model.class_confidence.updates,
    'bank.pixels': lambda model: model.class_confidence.pixels,
    'unreliable.bank.features': lambda model: model.contrast.bank.features,
    'unreliable.bank.pointer': lambda model: model.contrast.bank.pointer,
    'unreliable.bank.count': lambda model: model.contrast.bank.count,
    **{
        f'unreliable.{part}.{layer}.{kind}': lambda model, path=(part, layer, kind): reduce(
            getattr, path, model.contrast
        )
        for part in ('projection', 'teacher_projection')
        for layer in ('inner', 'norm', 'outer')
        for kind in ('weight', 'bias')
    },
}


def checkpoint(name: str) -> Dict[str, Tensor]:
    """Random values under the names, and of the shapes and types, of version 0.1."""
    g = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(shape, generator=g).mul(9).to(getattr(torch, dtype))
        for key, (dtype, *shape) in RECORDED[name]['entries'].items()
    }


def build(name: str, aligned: bool = True) -> SemiSegmentor:
    """The present model of the same settings, with alignment as its hook builds it."""
    settings = dict(RECORDED[name]['model'])
    model = toy_model(settings.pop('type'), **settings)
    if aligned and 'alignment.teacher0.means' in RECORDED[name]['entries']:
        model.alignment = MemberAlignment(model.teaching_members, torch.ones(NUM_CLASSES), steps=3)
    return model


@pytest.fixture
def logged(monkeypatch) -> list:
    lines = []
    monkeypatch.setattr(key_map, 'print_log', lambda message, *_: lines.append(message))
    return lines


@EVERY
@pytest.mark.parametrize('load', [SemiSegmentor.load_state_dict, load_state_dict], ids=['t', 'm'])
def test_every_entry_arrives(name, load, logged):
    """By the loader of torch and by that of mmengine."""
    model, state = build(name), checkpoint(name)
    load(model, state, strict=True)
    own = model.state_dict()
    if getattr(model, 'contrast', None) is None:
        state.pop('contrast_on', None)
    for key, value in state.items():
        found = RENAMED[key](model) if key in RENAMED else own[key]
        assert torch.equal(found, value), key
    (line,) = logged
    assert '\n' not in line
    for former, present in key_map.KEY_MAP:
        used = any(key.startswith(former) for key in state)
        star = '*' * former.endswith('.')
        assert (f'{former}{star} -> {present}{star}' in line) == used


@EVERY
def test_parameters_are_in_the_order_of_the_optimiser(name):
    """The state of an optimiser is by number, so the order must not have changed."""
    former = [key.replace('unreliable.', 'contrast.') for key in RECORDED[name]['entries']]
    parameters = [key for key, _ in build(name).named_parameters()]
    assert [key for key in former if key in set(parameters)] == parameters


@EVERY
def test_resume_accepts_it_and_refuses_that_of_another_method(name):
    saved = dict(meta={}, message_hub={}, optimizer={}, state_dict=checkpoint(name))
    refuse_misfit('a.pth', saved, build(name), 'resume')
    assert 'ema_updates' in saved['state_dict']  # as it was
    other = 'u2pl' if name != 'u2pl' else 'stpg_peer'
    with pytest.raises(ValueError, match='a.pth is of another model: .* do not fit') as error:
        refuse_misfit('a.pth', saved, build(other), 'resume')
    assert '\n' not in str(error.value)


@EVERY
def test_present_checkpoints_stay_as_they_are(name, logged):
    model = build(name)
    state = model.state_dict()
    assert key_map.rename_keys(dict(state)) == []
    build(name).load_state_dict(state)
    assert not logged


@pytest.mark.parametrize('name', ['ctt_plus', 'stpg_peer', 'dual_negative_align'])
def test_alignment_without_its_hook_is_left_out(name):
    """Version 0.1 did not save the target, without which the running means say nothing."""
    model = build(name, aligned=False)
    model.load_state_dict(checkpoint(name), strict=True)
    assert model.alignment is None


def of_version_0_1(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The state of CTT under its names of version 0.1."""
    former = {
        'num_updates': 'ema_updates',
        'contrast.on': 'contrast_on',
        'consistency.class_thresholds.confidence': 'thresholds.confidence',
        'consistency.class_thresholds.updates': 'thresholds.updates',
    }
    unsaved = ('.target', '.uniform_start', '.only_raise')
    return {
        former.get(key, key): value for key, value in state.items() if not key.endswith(unsaved)
    }


def runner_of(root, work, **changes) -> Runner:
    align = dict(type='DistributionAlignmentHook', temperature=0.5, steps=3, uniform_start=False)
    consistency = dict(confidence_threshold=0.2, select='pixel', class_thresholds=dict())
    cfg = toy_config(
        root,
        work,
        model=toy_ctt(consistency=consistency),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=4, val_interval=100),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=2), alignment=align),
        **changes,
    )
    cfg.dump(work.parent / 'toy.py')
    return Runner.from_cfg(cfg)


@pytest.fixture
def saved(root, tmp_path) -> Path:
    """A checkpoint of iteration 2 as version 0.1 would have written it."""
    runner = runner_of(root, tmp_path / 'whole')
    runner.train()
    whole = torch.load(tmp_path / 'whole' / 'iter_2.pth')
    whole['state_dict'] = of_version_0_1(whole['state_dict'])
    assert {'ema_updates', 'contrast_on', 'thresholds.updates', 'alignment.teacher0.means'} <= set(
        whole['state_dict']
    )
    torch.save(whole, tmp_path / 'old.pth')
    return tmp_path / 'old.pth'


def test_a_resumed_run_is_the_uninterrupted_run(root, tmp_path, saved, logged):
    resumed = runner_of(root, tmp_path / 'again', resume=True, load_from=str(saved))
    resumed.train()
    whole = torch.load(tmp_path / 'whole' / 'iter_4.pth')['state_dict']
    state = resumed.model.state_dict()
    assert whole.keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in whole.items())
    assert len(logged) == 1 and 'thresholds.* -> consistency.class_thresholds.*' in logged[0]


def test_start_test_and_api(root, tmp_path, saved):
    started = runner_of(root, tmp_path / 'start', load_from=str(saved))
    started.load_or_resume()
    tested = runner_of(root, tmp_path / 'test', load_from=str(saved))
    metrics = tested.test()
    weights = torch.load(saved)['state_dict']
    for runner in (started, tested):
        state = runner.model.state_dict()
        assert torch.equal(state['num_updates'], weights['ema_updates'])
        name = 'teachers.1.decode_head.conv_seg.weight'
        assert torch.equal(state[name], weights[name])
    assert 'ensemble/mIoU' in metrics
    for member in ('teacher1', 'ensemble'):
        model = load_model(tmp_path / 'toy.py', saved, member=member)
        found = model if member == 'teacher1' else model.teachers[1]
        assert torch.equal(found.decode_head.conv_seg.weight, weights[name])
