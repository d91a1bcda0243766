# Copyright (c) mmseg_ctt contributors.
import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS
from toy import losses_of, ready_model, toy_batch, toy_model, toy_segmentor
from versions import SCALER

from mmseg_ctt.engine import StudentOptimWrapperConstructor, TeacherEMAHook
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.unlabeled_weight import GuardState, UnlabeledWeight

both_modes = pytest.mark.parametrize('mode', ['eval', 'train'])


def runner_of(model, accumulative_counts=1, all_parameters=False):
    wrapper = StudentOptimWrapperConstructor(
        dict(
            type='OptimWrapper',
            accumulative_counts=accumulative_counts,
            optimizer=dict(type='SGD', lr=0.05),
        )
    )(model)
    if all_parameters:
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05))
    return SimpleNamespace(model=model, optim_wrapper=wrapper)


def start(model, accumulative_counts=1, **settings):
    runner = runner_of(model, accumulative_counts)
    hook = TeacherEMAHook(**settings)
    hook.before_train(runner)
    return runner, hook


def step(runner, seed=0):
    loss, _ = runner.model.parse_losses(losses_of(runner.model, toy_batch(seed=seed)))
    runner.optim_wrapper.update_params(loss)


def copies(modules):
    return [
        {name: value.clone() for name, value in module.state_dict().items()} for module in modules
    ]


def same(left, right):
    return all(torch.equal(a[name], b[name]) for a, b in zip(left, right) for name in a)


def reference(teacher, student, update, alpha):
    """The rule for one pair, one number at a time."""
    decay = min(1 - 1 / (update + 1), alpha)
    moved = {}
    for name, old in teacher.items():
        new = student[name]
        if old.is_floating_point():
            moved[name] = decay * old.double() + (1 - decay) * new.double()
        else:
            moved[name] = new.clone()
    return moved


@both_modes
@pytest.mark.parametrize('alpha', [0.6, 0.99])
def test_equals_the_reference(alpha, mode):
    """In training mode, too: a teacher's own passes do not touch its statistics."""
    model = toy_model(supervision='cross', teacher_mode=mode)
    runner, hook = start(model, alpha=alpha)
    expected = copies(model.teachers)
    for update in range(5):
        before = copies(model.teachers)
        step(runner, seed=update)
        expected = [
            reference(t, s, update, alpha) for t, s in zip(expected, copies(model.students))
        ]
        assert not same(before, copies(model.teachers))
    names = set(expected[0])
    assert {'backbone.norm.running_mean', 'backbone.norm.num_batches_tracked'} < names
    for teacher, averages in zip(copies(model.teachers), expected):
        for name in names:
            assert teacher[name].dtype == model.students[0].state_dict()[name].dtype
            assert torch.allclose(teacher[name].double(), averages[name].double(), atol=1e-6), name
        assert teacher['backbone.norm.num_batches_tracked'] == 5
    assert int(model.num_updates) == hook.num_updates == 5
    assert not same(copies(model.teachers), copies(model.students))


def test_parameters_alone():
    model = toy_model(teacher_mode='train')
    runner, _ = start(model, buffers=False)
    step(runner)
    for teacher, student in zip(model.teachers, model.students):
        assert all(map(torch.equal, teacher.parameters(), student.parameters()))
        # its own statistics, from its passes over the weak view and the labelled images
        assert teacher.backbone.norm.num_batches_tracked == 2
        assert not torch.equal(
            teacher.backbone.norm.running_mean, student.backbone.norm.running_mean
        )


def test_students_do_not_depend_on_the_teachers_statistics():
    """In training mode teachers normalise with those of the batch either way."""
    students, teachers = [], []
    for buffers in (False, True):
        torch.manual_seed(0)
        model = toy_model(teacher_mode='train')
        runner, _ = start(model, buffers=buffers)
        for seed in range(3):
            step(runner, seed)
        students.append(copies(model.students))
        teachers.append(model.teachers)
    assert same(*students)
    assert all(map(torch.equal, teachers[0].parameters(), teachers[1].parameters()))
    assert not same(*map(copies, teachers))


def test_first_update_copies_the_student():
    model = toy_model()
    runner, _ = start(model)
    step(runner)
    assert same(copies(model.teachers), copies(model.students))


def test_start_copies_students():
    model = toy_model()
    with torch.no_grad():
        for parameter in model.students.parameters():
            parameter.add_(1)
    assert not same(copies(model.teachers), copies(model.students))
    start(model)
    assert same(copies(model.teachers), copies(model.students))


@both_modes
def test_one_update_per_optimiser_step(mode):
    model = toy_model(teacher_mode=mode)
    runner, hook = start(model, accumulative_counts=2)
    runner.optim_wrapper.initialize_count_status(model, 0, 6)
    counts = []
    for seed in range(6):
        before = copies(model.teachers)
        step(runner, seed)
        counts.append(int(model.num_updates))
        assert same(before, copies(model.teachers)) == (seed % 2 == 0)
    assert counts == [0, 1, 1, 2, 2, 3]


@SCALER
def test_step_skipped_by_the_loss_scaler():
    model = toy_model()
    runner, _ = start(model)
    optimizer = runner.optim_wrapper.optimizer
    scaler = torch.amp.GradScaler('cpu', init_scale=2.0)
    for overflow, updates in ((False, 1), (True, 1), (False, 2)):
        before = copies(model.teachers)
        loss, _ = model.parse_losses(losses_of(model, toy_batch(seed=updates)))
        scaler.scale(loss).backward()
        if overflow:
            next(model.students.parameters()).grad.fill_(float('inf'))
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        assert int(model.num_updates) == updates
        assert same(before, copies(model.teachers)) == overflow


@both_modes
def test_resumed_run_goes_on(mode):
    model = toy_model(teacher_mode=mode)
    runner, hook = start(model, alpha=0.7)
    for seed in range(3):
        step(runner, seed)
    optimizer = copy.deepcopy(runner.optim_wrapper.state_dict())
    resumed = toy_model(seed=9, teacher_mode=mode)
    resumed.load_state_dict(model.state_dict())
    other, _ = start(resumed, alpha=0.7)
    other.optim_wrapper.load_state_dict(optimizer)
    assert same(copies(resumed.teachers), copies(model.teachers))  # not copied again
    assert not same(copies(resumed.teachers), copies(resumed.students))
    for each in (runner, other):
        step(each, seed=7)
    assert same(copies(resumed.teachers), copies(model.teachers))
    assert int(resumed.num_updates) == 4


def test_nothing_is_counted_without_teachers():
    """Else teachers that start from such a run would count as updated."""
    mutual = toy_model(supervision='mutual')
    runner, hook = start(mutual)
    step(runner)
    hook.after_train(runner)
    assert int(mutual.num_updates) == 0
    model = toy_model()
    model.load_state_dict(mutual.state_dict(), strict=False)
    start(model)
    for student, teacher in zip(model.students, model.teachers):
        assert same([student.state_dict()], [teacher.state_dict()])


@both_modes
def test_frozen_teachers_stay_as_they_are(mode):
    """Their statistics too, which passes in training mode would move."""
    model = toy_model(teacher_mode=mode, frozen_teachers=True)
    with torch.no_grad():
        for parameter in model.teachers.parameters():
            parameter.add_(1)
    before = copies(model.teachers)
    runner, _ = start(model)
    step(runner)
    assert same(before, copies(model.teachers))
    assert int(model.num_updates) == 0


@both_modes
def test_optimiser_and_batch_norm_are_restored_after_training(mode):
    model = toy_model(teacher_mode=mode)
    runner, hook = start(model)
    step(runner)
    hook.after_train(runner)
    step(runner)
    assert int(model.num_updates) == 1
    for norm in (teacher.backbone.norm for teacher in model.teachers):
        assert norm.track_running_stats


def test_teachers_get_no_gradient():
    model = toy_model()
    runner, _ = start(model)
    loss, _ = model.parse_losses(losses_of(model, toy_batch()))
    loss.backward()
    assert all(parameter.grad is None for parameter in model.teachers.parameters())
    assert any(parameter.grad is not None for parameter in model.students.parameters())


@pytest.mark.parametrize('alpha', [-0.1, 1.01])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match='default_hooks.teacher_ema.alpha'):
        TeacherEMAHook(alpha=alpha)


def test_plain_model_is_refused():
    model = MODELS.build(toy_segmentor())
    with pytest.raises(ValueError, match='EncoderDecoder: set default_hooks.teacher_ema=None'):
        TeacherEMAHook().before_train(runner_of(model))


def test_statistics_that_nothing_would_update_are_refused():
    with pytest.raises(ValueError, match='buffers=False.*teacher_mode="train"'):
        TeacherEMAHook(buffers=False).before_train(runner_of(toy_model(teacher_mode='eval')))


@pytest.mark.parametrize('kind', registered_methods())
def test_own_statistics_are_refused_or_move(kind):
    """Passes in training mode update every average that is accepted with statistics of its own."""
    model = ready_model(kind)
    try:
        start(model, buffers=False)
    except ValueError as error:
        assert f'teacher0 of {kind} only predicts' in str(error)
        assert model.keeps_average and 'teacher0' not in model.possible_teachers
        return
    assert not model.keeps_average
    at_work = [part for part in model.followers() if part.shift is None or part.shift.active()]
    before = copies(follower.module for follower in at_work)
    losses_of(model, toy_batch(4, 4))
    for old, follower in zip(before, at_work):
        named = [name for name in old if name.endswith('num_batches_tracked')]
        assert all(follower.module.state_dict()[name] > old[name] for name in named)


def test_without_unlabelled_images_statistics_are_averages():
    """DoNoHarmHook has switched the passes of the teachers off; they come back later."""
    model = toy_model(teacher_mode='train')
    model.unlabeled_weight = UnlabeledWeight()
    runner, hook = start(model, alpha=0.6, buffers=False)
    step(runner)
    model.unlabeled_weight.set(GuardState(0.0))
    for number in range(1, 4):
        expected = [
            reference(t, s, number, 0.6)
            for t, s in zip(copies(model.teachers), stepped(model, runner, number))
        ]
        for teacher, averages in zip(copies(model.teachers), expected):
            for name, value in averages.items():
                assert torch.allclose(teacher[name].double(), value.double(), atol=1e-6), name
    model.unlabeled_weight.set(GuardState(0.5))
    norm = model.teachers[0].backbone.norm
    before = int(norm.num_batches_tracked)
    step(runner, seed=9)
    assert norm.num_batches_tracked == before + 2  # its own passes again


def stepped(model, runner, seed):
    """Students after a step."""
    step(runner, seed=seed)
    return copies(model.students)


def test_teachers_in_the_optimiser_are_refused():
    with pytest.raises(ValueError, match='StudentOptimWrapperConstructor'):
        TeacherEMAHook().before_train(runner_of(toy_model(), all_parameters=True))


class Unhooked(torch.optim.Optimizer):
    """Has no hooks of PyTorch after its step, as all optimisers after torch.compile of 2.1."""

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group['params']:
                if weight.grad is not None:
                    weight -= group['lr'] * weight.grad

    step.hooked = True


def test_updates_do_not_need_the_hooks_of_pytorch():
    model, hook = toy_model(), TeacherEMAHook()
    optimizer = Unhooked(model.students.parameters(), lr=0.1)
    runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapper(optimizer))
    hook.before_train(runner)
    step(runner)
    assert int(model.num_updates) == 1
    hook.after_train(runner)
    optimizer.step()
    assert int(model.num_updates) == 1
