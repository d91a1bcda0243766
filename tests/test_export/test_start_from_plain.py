# Copyright (c) mmseg_ctt contributors.
"""A plain mmseg checkpoint as the start of every student."""

import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import MODELS
from toy_data import toy_config, write_toy_data
from toy_run import MEMBERS, shake, small_segmentor

from mmseg_ctt.deploy.export import export_member


@pytest.fixture
def plain(tmp_path):
    """Weights of a plain segmentor and the file they are in."""
    state = shake(MODELS.build(small_segmentor()), seed=9).state_dict()
    return state, save(tmp_path / 'plain.pth', dict(state_dict=state, meta={}))


def save(path, checkpoint):
    torch.save(checkpoint, path)
    return path


def segmentor(path=None, **head):
    cfg = small_segmentor()
    cfg['backbone'].pop('init_cfg')
    cfg['decode_head'].update(head)
    return cfg if path is None else dict(cfg, **pretrained(path))


def pretrained(path):
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(path)))


def start(tmp_path, cfg, load_from=None, checked=False, **changes):
    """A run as it stands before the first iteration, with the checks of one or without."""
    model = dict(type='CrossTeacherTraining', bank=dict(size=2), segmentor=cfg, **changes)
    cfg = toy_config(
        write_toy_data(tmp_path / 'data'),
        tmp_path / 'work',
        model=model,
        load_from=load_from and str(load_from),
    )
    if checked:
        cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=100)
    runner = Runner.from_cfg(cfg)
    if checked:
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner.call_hook('before_run')
    runner._init_model_weights()
    runner.load_or_resume()
    return runner


def equals(model, state):
    """Which members have these weights."""
    states = {name: model.member(name).state_dict() for name in MEMBERS}
    assert all(one.keys() == state.keys() for one in states.values())
    return [
        name
        for name, one in states.items()
        if all(torch.equal(one[key], state[key]) for key in state)
    ]


def test_init_cfg_of_the_segmentor(tmp_path, plain):
    state, path = plain
    assert equals(start(tmp_path, segmentor(path)).model, state) == list(MEMBERS)


def test_init_cfg_of_one_student(tmp_path, plain):
    state, path = plain
    runner = start(tmp_path, segmentor(), student_overrides=[dict(), pretrained(path)])
    assert equals(runner.model, state) == ['student1', 'teacher1']


def test_other_classes_begin_at_random(tmp_path, plain):
    """As mmengine does: what does not fit is named in the log and left out."""
    state, path = plain
    new = start(tmp_path, segmentor(path, num_classes=7)).model.students[0].state_dict()
    unlike = {key for key in new if new[key].shape != state[key].shape}
    assert unlike == {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}
    assert all(torch.equal(new[key], state[key]) for key in new.keys() - unlike)


def test_exported_member_starts_another_run(tmp_path, plain):
    """Out of one run, into the next."""
    state, path = plain
    first = start(tmp_path, segmentor(), student_overrides=[dict(), pretrained(path)])
    export = export_member(first.cfg, dict(state_dict=first.model.state_dict()), 'teacher1')
    again = save(tmp_path / 'again.pth', export.checkpoint)
    assert equals(start(tmp_path, segmentor(again)).model, state) == list(MEMBERS)


@pytest.mark.parametrize('checked', [False, True])
def test_load_from(tmp_path, plain, checked):
    state, path = plain
    runner = start(tmp_path, segmentor(), load_from=path, checked=checked)
    assert equals(runner.model, state) == list(MEMBERS)
    assert int(runner.model.num_updates) == 0


def test_load_from_other_classes(tmp_path, plain):
    state, path = plain
    new = start(tmp_path, segmentor(num_classes=7), load_from=path).model.students[1].state_dict()
    assert torch.equal(new['backbone.conv1.weight'], state['backbone.conv1.weight'])
    assert len(new['decode_head.conv_seg.bias']) == 7


def test_own_checkpoints_load_as_before(tmp_path, plain):
    _, path = plain
    first = start(tmp_path, segmentor(), student_overrides=[dict(), pretrained(path)]).model
    shake(first, seed=4)
    own = save(tmp_path / 'own.pth', dict(state_dict=first.state_dict(), meta={}))
    second = start(tmp_path, segmentor(), load_from=own).model
    assert all(
        torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items()
    )
    second.load_state_dict(first.state_dict(), strict=True)
