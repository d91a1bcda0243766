# Copyright (c) mmseg_ctt contributors.
import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.engine.hooks.teacher_ema_hook import TeacherEMAHook
from mmseg_ctt.lab.benchmark.meters import TimeMeter
from mmseg_ctt.lab.benchmark.sections import METHODS, SECTIONS, SectionStack, attached
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.methods.ctt import segmentor as cross_teacher

CPU = torch.device('cpu')


class Ticks(TimeMeter):
    """Every look at the clock finds it one second later."""

    def _now(self):
        self.ticks = getattr(self, 'ticks', -1) + 1
        return float(self.ticks)


class Sequence:
    """Notes the sections in their order."""

    def start(self):
        self.laps = []

    def lap(self, section):
        self.laps.append(section)


def runner_of(model):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    return SimpleNamespace(
        model=model, optim_wrapper=wrapper, hooks=[TeacherEMAHook(), RuntimeInfoHook()]
    )


def test_times_are_exclusive_and_add_up_to_the_whole():
    stack, meter = SectionStack(), Ticks(CPU)
    with stack.watched_by(meter):
        with stack.inside('losses'):
            with stack.inside('contrast'):
                pass
            with stack.inside('contrast'):
                pass
        with stack.inside('EMA'):
            pass
    seconds = meter.seconds()
    # a tick at the start, two for each of four sections, one at the end
    assert seconds == {'other': 3, 'losses': 3, 'contrast': 2, 'EMA': 1}
    assert sum(seconds.values()) == meter.ticks


def test_a_meter_starts_anew():
    stack, meter = SectionStack(), Ticks(CPU)
    for _ in range(2):
        with stack.watched_by(meter), stack.inside('data'):
            pass
        assert meter.seconds() == {'other': 2, 'data': 1}


def test_an_error_leaves_the_section():
    stack = SectionStack()
    with pytest.raises(KeyError), stack.inside('losses'), stack.network():
        assert stack.current == 'losses' and stack.in_network
        raise KeyError
    assert stack.current == 'other' and not stack.in_network


def test_order_of_a_ctt_step():
    model, watcher = toy_model(), Sequence()
    model.contrast.switch(True)
    stack = SectionStack()
    with attached(runner_of(model), stack), stack.watched_by(watcher):
        losses_of(model, toy_batch())
    order = [name for name in dict.fromkeys(watcher.laps) if name != 'other']
    assert order == [
        'data',
        'teachers',
        'pseudo-labels',
        'strong view',
        'students forward',
        'losses',
        'contrast',
        'bank',
    ]
    assert watcher.laps.count('teachers') == watcher.laps.count('students forward') == 1


@pytest.mark.parametrize('supervision', ['mutual', 'self'])
def test_passes_of_teaching_members_are_of_teachers(supervision):
    model, watcher = toy_model(supervision=supervision), Sequence()
    stack = SectionStack()
    with attached(runner_of(model), stack), stack.watched_by(watcher):
        losses_of(model, toy_batch())
    assert watcher.laps.count('teachers') == watcher.laps.count('students forward') == 1


def test_auxiliary_heads_belong_to_the_students():
    head = dict(toy_segmentor()['decode_head'], in_index=0)
    model = toy_model(segmentor=toy_segmentor(auxiliary_head=head))
    stack, watcher = SectionStack(), Sequence()
    with attached(runner_of(model), stack), stack.watched_by(watcher):
        losses_of(model, toy_batch())
    assert watcher.laps.count('students forward') == 1 + 2


def test_a_plain_segmentor_has_sections_too():
    model = MODELS.build(toy_segmentor()).train()
    stack, watcher = SectionStack(), Sequence()
    samples = [sample for sample in toy_batch()['data_samples'] if 'gt_sem_seg' in sample]
    with attached(runner_of(model), stack), stack.watched_by(watcher):
        model(torch.randn(2, 3, 32, 32), samples, mode='loss')
    assert set(watcher.laps) == {'students forward', 'losses', 'other'}


def test_everything_is_undone():
    model = toy_model()
    runner = runner_of(model)
    owners = [*model.modules(), runner.optim_wrapper, *runner.hooks, cross_teacher]
    before = [copy.copy(vars(owner)) for owner in owners]
    with attached(runner, SectionStack()):
        assert any(vars(owner) != old for owner, old in zip(owners, before))
    assert [vars(owner) for owner in owners] == before


def test_a_method_adds_its_own_line():
    model, watcher, stack = toy_model(), Sequence(), SectionStack()
    model.filter = lambda value: value
    with (
        attached(runner_of(model), stack, (*METHODS, ('selection', 'model.filter'))),
        stack.watched_by(watcher),
    ):
        assert model.filter(3) == 3
    assert watcher.laps == ['other', 'selection', 'other']


def test_every_named_section_is_in_the_report():
    named = {section for section, _ in METHODS if isinstance(section, str)}
    assert named <= set(SECTIONS)


@pytest.mark.parametrize('name', registered_methods())
def test_every_method_has_the_sections_of_a_step(name):
    """No list by hand: classes and parts declare their sections."""
    model, watcher = toy_model(name, **registered_methods()[name].toy_settings), Sequence()
    stack = SectionStack()
    with attached(runner_of(model), stack), stack.watched_by(watcher):
        losses_of(model, toy_batch(labeled=2, unlabeled=2))
    expected = {'data', 'students forward', 'losses'}
    # a student of its own labels may need no other pass
    if model.uses_pseudo_labels and model.default_supervision != 'own':
        expected |= {'teachers', 'pseudo-labels'}
    if model.strong_augmentation is not None:
        expected |= {'strong view'}
    if getattr(model, 'contrast', None) is not None:
        expected |= {'contrast', *(['bank'] if hasattr(model.contrast, 'bank') else [])}
    assert expected <= set(watcher.laps) <= set(SECTIONS)
