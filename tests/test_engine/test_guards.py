# Copyright (c) mmseg_ctt contributors.
import logging
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    toy_config,
    toy_ctt,
    toy_method,
    write_image,
    write_lists,
)

from mmseg_ctt.engine.guards import (
    confident_ratio,
    empty_queues,
    not_finite,
    same_content,
    teacher_below_student,
)
from mmseg_ctt.engine.hooks.guard_hook import GuardHook, _last_good
from mmseg_ctt.engine.hooks.queue_warmup_hook import QueueWarmupHook
from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining

NAN, INF = math.nan, math.inf


# ---- checks of logged numbers


@pytest.mark.parametrize(
    'values, words',
    [
        (dict(loss=1.0, loss_ct=0.0), None),
        ({}, None),
        (dict(loss=NAN, loss_ct=1.0), ['loss=nan', 'optim_wrapper.optimizer.lr', 'clip_grad']),
        (dict(loss=INF, loss_ct=-INF), ['loss=inf, loss_ct=-inf']),
    ],
)
def test_not_finite(values, words):
    says(not_finite(values), words)


@pytest.mark.parametrize(
    'scores, words',
    [
        (
            dict(student0=[2, 3, 4], teacher0=[0, 1, 2]),
            ['3 validations', 'teacher0 2.00 < 4.00', 'default_hooks.teacher_ema.alpha'],
        ),
        (dict(student0=[9, 2, 3, 4], teacher0=[9, 0, 1, 2]), ['teacher0 2.00 < 4.00']),
        (dict(student0=[3, 4], teacher0=[1, 2]), None),
        (dict(student0=[2, 3, 4], teacher0=[0, 3, 2]), None),  # equal once
        (dict(student0=[2, 3, 4], teacher0=[0, 1, 3]), None),  # at the margin once
        (dict(student0=[2, 3, 4], teacher0=[1.9, 2.9, 3.9]), None),
        (
            dict(student0=[1, 2, 3], teacher0=[2, 3, 4], student1=[3, 3, 3], teacher1=[1, 1, 1]),
            ['(teacher1 1.00 < 3.00)'],
        ),
        (dict(student0=[3, 3, 3], ensemble=[1, 1, 1]), None),
        (dict(teacher0=[1, 1, 1]), None),
        ({}, None),
    ],
)
def test_teacher_below_student(scores, words):
    says(teacher_below_student(scores, 3, margin=1), words)


@pytest.mark.parametrize(
    'ratios, words',
    [
        (dict(a=0.5, b=0.01), None),
        (
            dict(a=0.5, b=0.0),
            [
                'b: (almost) no pixel',
                '500 iterations',
                'lower model.consistency.confidence_threshold',
            ],
        ),
        (dict(a=0.0005, b=0.0), ['a, b: (almost) no']),
        (
            dict(a=0.9995, b=0.5),
            ['a: (almost) every', 'raise model.consistency.confidence_threshold'],
        ),
        ({}, None),
    ],
)
def test_confident_ratio(ratios, words):
    line = confident_ratio(ratios, 500, 1e-3)
    says(line, words)
    assert 'teacher_mode' not in (line or '')


def test_teachers_in_eval_mode_may_be_the_cause():
    says(
        confident_ratio(dict(a=0.0), 500, 1e-3, eval_teachers=True), ['model.teacher_mode="train"']
    )


@pytest.mark.parametrize(
    'fill, words',
    [
        ([1.0, 0.1, 0.5], None),
        ([1.0, 0.0, 0.5], ['after 7 iterations', 'sky', 'default_hooks.queue_warmup.start_iter']),
        ([0.0, 0.0, 0.5], ['road, sky']),
    ],
)
def test_empty_queues(fill, words):
    says(empty_queues(fill, ('road', 'sky', 'car'), 7), words)


def test_empty_queues_of_a_contrast_that_does_not_wait():
    """Of U2PL: no hook starts it."""
    line = empty_queues([1.0, 0.0], ('road', 'sky'), 7, waits=False)
    says(line, ['sky', 'labelled images'])
    assert 'queue_warmup' not in line


def says(line, words):
    if words is None:
        assert line is None
    else:
        assert all(word in line for word in words) and '\n' not in line, line


def test_same_content(tmp_path):
    def files(**content):
        for name, data in content.items():
            (tmp_path / name).write_bytes(data)
        return [str(tmp_path / name) for name in content]

    first = files(a=b'one', b=b'two', c=b'three')
    second = files(d=b'two', e=b'six', f=b'three', g=b'four')
    assert same_content(first, second) == [(first[1], second[0]), (first[2], second[2])]
    assert same_content(first, [*second, 's3://bucket/one', str(tmp_path / 'absent')]) == (
        same_content(first, second)
    )
    assert same_content([], second) == []


def test_only_files_of_equal_length_are_read(tmp_path, monkeypatch):
    for name, data in dict(a=b'1', b=b'22', c=b'22', d=b'333').items():
        (tmp_path / name).write_bytes(data)
    read, real = [], Path.read_bytes
    monkeypatch.setattr(Path, 'read_bytes', lambda path: read.append(path.name) or real(path))
    same_content(
        [str(tmp_path / 'a'), str(tmp_path / 'b')], [str(tmp_path / 'c'), str(tmp_path / 'd')]
    )
    assert read == ['b', 'c']


# ---- in a run


class Spoil(Hook):
    """Changes the model before an iteration."""

    def __init__(self, iteration, change):
        self.iteration, self.change = iteration, change

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            with torch.no_grad():
                self.change(runner.model)


@pytest.fixture
def warnings(monkeypatch) -> list:
    """Warnings, but that about toy runs, which are validated on images that they train on."""
    lines = []
    log = logging.Logger.log

    def note(self, level, message, *given, **more):
        if level == logging.WARNING and 'images that are trained on' not in message:
            lines.append(message)
        log(self, level, message, *given, **more)

    monkeypatch.setattr(logging.Logger, 'log', note)
    return lines


def build(root, work, iterations=6, val_interval=100, model=None, changes=None, **guards):
    cfg = toy_config(
        root,
        work,
        model=model or toy_ctt(),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=2, max_keep_ckpts=2),
            guards=dict(type='GuardHook', **guards),
        ),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=val_interval),
        **(changes or {}),
    )
    return Runner.from_cfg(cfg)


def weights_to(value):
    def change(model):
        model.students[0].decode_head.conv_seg.weight.fill_(value)

    return change


def test_a_loss_that_is_not_finite_ends_the_run(root, tmp_path):
    runner = build(root, tmp_path / 'work')
    runner.register_hook(Spoil(4, weights_to(NAN)))
    with pytest.raises(ValueError) as error:
        runner.train()
    says(
        str(error.value),
        ['the loss of iteration 4 is not finite', 'iter_2.pth', 'student0.decode.loss_ce=nan'],
    )
    assert 'student1.decode' not in str(error.value)
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == ['iter_2.pth']
    state = torch.load(tmp_path / 'work' / 'iter_2.pth')['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())


def test_before_the_first_checkpoint(root, tmp_path):
    runner = build(root, tmp_path / 'work')
    runner.register_hook(Spoil(1, weights_to(INF)))
    with pytest.raises(ValueError, match='iteration 1 is not finite.*nothing was saved'):
        runner.train()
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_weights_that_are_not_finite_are_not_saved(root, tmp_path):
    """The loss of an iteration says nothing of the step that follows it."""

    class SpoilStep(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 == 4:
                with torch.no_grad():
                    runner.model.students[1].backbone.stem.weight[0, 0, 0, 0] = NAN

    runner = build(root, tmp_path / 'work')
    runner.register_hook(SpoilStep())
    with pytest.raises(
        ValueError,
        match='students.1.backbone.stem.weight is not finite and is '
        'not saved; the last good checkpoint is .*iter_2.pth',
    ):
        runner.train()
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == ['iter_2.pth']


def test_the_last_good_checkpoint_of_a_moved_run(tmp_path):
    (tmp_path / 'iter_2.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('/gone/work/iter_2.pth\n')
    runner = SimpleNamespace(work_dir=str(tmp_path))
    assert _last_good(runner).endswith(f' {tmp_path}/iter_2.pth')
    (tmp_path / 'iter_2.pth').unlink()
    assert _last_good(runner) == 'no checkpoint is left'


def test_switched_off(root, tmp_path):
    runner = build(root, tmp_path / 'work', finite=False)
    runner.register_hook(Spoil(3, weights_to(NAN)))
    runner.train()
    assert (tmp_path / 'work' / 'iter_6.pth').is_file()


def test_a_good_run_has_no_warning(root, tmp_path, warnings):
    build(root, tmp_path / 'work', queues=0, confident_iters=0).train()
    assert not [line for line in warnings if 'pixel' in line or 'teacher' in line]


def test_nothing_is_read_from_the_device(root, tmp_path, monkeypatch):
    """All but every `queues` iterations: a read would have to go through one of these."""
    runner = build(root, tmp_path / 'work', queues=4, confident_iters=1)
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, GuardHook)]
    iterations, inside = [], [False]
    for name in ('item', 'tolist', '__float__', '__bool__', '__int__', 'cpu', 'numpy'):
        real = getattr(torch.Tensor, name)

        def read(self, *given, real=real, **more):
            if inside[0]:
                iterations.append(runner.iter + 1)
            return real(self, *given, **more)

        monkeypatch.setattr(torch.Tensor, name, read)
    check = hook.after_train_iter

    def watched(*given, **more):
        inside[0] = True
        check(*given, **more)
        inside[0] = False

    hook.after_train_iter = watched
    runner.train()
    assert set(iterations) == {4}


@pytest.mark.parametrize('margin, times', [(1.0, 2), (3.9, 2), (4.0, 0)])
def test_teacher_below_student_in_a_run(root, tmp_path, warnings, monkeypatch, margin, times):
    """Logged once although it holds for three validations, and again after it had ceased."""
    runner = build(
        root, tmp_path / 'work', iterations=7, val_interval=1, validations=2, margin=margin
    )
    teacher = iter([9.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0])

    def scored(loop):
        score = next(teacher)
        metrics = {'student0/mIoU': 5.0, 'teacher0/mIoU': score, 'mIoU': score}
        loop.runner.call_hook('before_val')
        loop.runner.call_hook('after_val_epoch', metrics=metrics)
        loop.runner.call_hook('after_val')

    monkeypatch.setattr('mmseg_ctt.engine.MemberValLoop.run', scored)
    runner.train()
    lines = [line for line in warnings if 'worse than their students' in line]
    assert len(lines) == times
    assert all('2 validations (teacher0 1.00 < 5.00)' in line for line in lines)


def test_teachers_are_compared_by_the_score_there_is(root, tmp_path, warnings, monkeypatch):
    """Scores from 0 to 1 have a margin of their own."""
    dice = dict(val_evaluator=dict(type='VolumeMetric'))
    runner = build(
        root, tmp_path / 'work', iterations=3, val_interval=1, validations=2, changes=dice
    )
    teacher = iter([0.795, 0.78, 0.78])

    def scored(loop):
        score = {'student0/volume/mDice': 0.8, 'teacher0/volume/mDice': next(teacher)}
        metrics = {**score, 'volume/mDice': 0.8, 'time': 1.0}
        loop.runner.call_hook('before_val')
        loop.runner.call_hook('after_val_epoch', metrics=metrics)
        loop.runner.call_hook('after_val')

    monkeypatch.setattr('mmseg_ctt.engine.MemberValLoop.run', scored)
    runner.train()
    (line,) = [line for line in warnings if 'worse than their students' in line]
    assert '2 validations (teacher0 0.78 < 0.80)' in line


def test_a_score_to_compare_by_that_there_is_not(root, tmp_path):
    runner = build(root, tmp_path / 'work', iterations=1, val_interval=1, metric='mIuO')
    with pytest.raises(ValueError, match="default_hooks.guards.metric='mIuO' is no score of valid"):
        runner.train()


@pytest.mark.parametrize('threshold, word', [(0.99, 'no pixel'), (0.01, 'every pixel'), (0, None)])
def test_confident_ratio_in_a_run(root, tmp_path, warnings, threshold, word):
    model = toy_ctt(consistency=dict(confidence_threshold=threshold))
    build(root, tmp_path / 'work', model=model, confident_iters=2).train()
    lines = [line for line in warnings if 'confident' in line]
    assert len(lines) == (word is not None)
    if word:
        says(lines[0], ['student0.confident_ratio, student1.confident_ratio', word, '2 iterations'])


def test_confident_ratio_of_ael(root, tmp_path, warnings):
    """Before the sampling by class, and of unlabelled images alone."""
    model = toy_method('AEL', consistency=dict(confidence_threshold=0.99))
    build(root, tmp_path / 'work', model=model, confident_iters=2).train()
    (line,) = [line for line in warnings if 'confident' in line]
    says(line, ['student0.confident_ratio: (almost) no pixel'])


@pytest.mark.parametrize(
    'settings, named',
    [
        (dict(teacher_mode='eval'), True),
        (dict(teacher_mode='train'), False),
        (dict(supervision='mutual'), False),  # students teach
    ],
)
def test_teacher_mode_is_named_where_it_may_help(root, tmp_path, warnings, settings, named):
    model = toy_ctt(consistency=dict(confidence_threshold=0.99), **settings)
    build(root, tmp_path / 'work', iterations=2, model=model, confident_iters=2).train()
    (line,) = [line for line in warnings if 'confident' in line]
    assert ('model.teacher_mode="train"' in line) == named


@pytest.mark.parametrize('start', [None, 0])
def test_empty_queue_in_a_run(root, tmp_path, warnings, monkeypatch, start):
    """To start the contrast is a remedy as long as it waits."""
    update = torch.no_grad()(
        lambda self, outputs, label: self.bank.count.copy_(torch.tensor([2, 0, 1, 2]))
    )
    monkeypatch.setattr('mmseg_ctt.methods.ctt.contrast.CrossContrast.update', update)
    runner = build(root, tmp_path / 'work', queues=2)
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, QueueWarmupHook)]
    hook.given = start
    runner.train()
    lines = [line for line in warnings if 'memory bank' in line]
    assert len(lines) == 1
    says(lines[0], ['after 2 iterations', 'no feature of class1:'])
    assert ('start_iter' in lines[0]) == (start is None)


def test_empty_queue_of_u2pl(root, tmp_path, warnings, monkeypatch):
    """Its contrast is watched as any other."""
    update = torch.no_grad()(
        lambda self, pixels, draws: self.bank.count.copy_(torch.tensor([2, 0, 1, 2]))
    )
    monkeypatch.setattr('mmseg_ctt.methods.u2pl.contrast.UnreliableContrast.update', update)
    build(root, tmp_path / 'work', model=toy_method('U2PL'), queues=2).train()
    lines = [line for line in warnings if 'memory bank' in line]
    assert len(lines) == 1
    says(lines[0], ['no feature of class1:'])
    assert 'start_iter' not in lines[0]


def test_a_bank_of_no_classes_has_no_empty_class(root, tmp_path, warnings):
    """That of CAC is empty until the contrast starts."""
    model = toy_method('ContextAwareConsistency', start=5)
    build(root, tmp_path / 'work', model=model, queues=2).train()
    assert not [line for line in warnings if 'memory bank' in line]


@pytest.mark.parametrize('duplicates', [True, False])
def test_same_content_in_both_lists(root, tmp_path, warnings, duplicates, monkeypatch):
    write_image(root / 'img' / 'copy.jpg', seed=1)  # that of l1
    write_lists(root / SPLIT, LABELED, (*UNLABELED, 'copy'))

    def begin(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CrossTeacherTraining, 'loss', begin)
    with pytest.raises(KeyboardInterrupt):
        build(root, tmp_path / 'work', duplicates=duplicates).train()
    lines = [line for line in warnings if 'have the content' in line]
    assert len(lines) == duplicates
    if duplicates:
        says(lines[0], ['1 unlabeled images', 'img/copy.jpg', 'img/l1.jpg', 'list of unlabeled'])


@pytest.mark.parametrize('name', ['validations', 'margin', 'confident_iters', 'queues'])
def test_bad_settings(name):
    with pytest.raises(ValueError, match=f'default_hooks.guards.{name}'):
        GuardHook(**{name: -1})


def test_former_and_unknown_settings():
    with pytest.raises(ValueError, match='confident of version 0.1 is now .*confident_iters'):
        GuardHook(confident=100)
    with pytest.raises(ValueError, match=r"unknown settings \['finit'\]; known are .*'finite'"):
        GuardHook(finit=False)
