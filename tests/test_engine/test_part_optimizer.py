# Copyright (c) mmseg_ctt contributors.
"""An optimiser for the members and one for a discriminator, behind the interface of one."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import MODELS
from test_engine.test_resume_anywhere import Notes, later
from torch import nn
from toy import NUM_CLASSES, losses_of, toy_batch, toy_model
from toy_data import toy_config, toy_method
from versions import FUSED

from mmseg_ctt.engine import PartOptimizer, StudentOptimWrapperConstructor
from mmseg_ctt.methods import SemiSegmentor
from mmseg_ctt.nn.member import constant_weights

ADAM = dict(type='Adam', lr=1e-2, betas=(0.9, 0.99))
OPTIM = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
    part_optimizers=dict(discriminator=ADAM),
)


class Adversarial(SemiSegmentor):
    """A discriminator tells labelled from unlabelled predictions; the student deceives it."""

    default_num_pairs = 1
    default_supervision = 'own'
    default_loss_weights = dict(adv=0.1, dis=1.0)
    parts = ('discriminator',)

    def build(self, width: int = 4) -> None:
        self.discriminator = None
        if self.weights['dis']:
            self.discriminator = nn.Sequential(
                nn.Conv2d(self.num_classes, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 1, 1)
            )

    def step(self, labeled, unlabeled):
        known, other = self.forward_member('student0', labeled.image, unlabeled.image)
        losses = self.supervised_loss(0, known, labeled)
        if self.discriminator is None:
            return losses
        with constant_weights(self.discriminator):
            losses['student0.adv'] = self._loss(other.logits, 1.0)
        losses['student0.dis'] = self._loss(known.logits.detach(), 1.0) + self._loss(
            other.logits.detach(), 0.0
        )
        return losses

    def _loss(self, logits, truth):
        told = self.discriminator(logits.softmax(dim=1))
        return F.binary_cross_entropy_with_logits(told, torch.full_like(told, truth))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, 'Adversarial', Adversarial)


def build(seed=0, **changes):
    model = toy_model('Adversarial', seed)
    return model, build_optim_wrapper(model, {**OPTIM, **changes})


def gradients(model, seed):
    loss, _ = model.parse_losses(losses_of(model, toy_batch(seed=seed)))
    return loss


def assert_equal_state(model, other):
    state = other.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


@FUSED
def test_equals_two_optimisers_stepped_by_hand():
    model, wrapper = build()
    other = toy_model('Adversarial')
    by_hand = [
        torch.optim.SGD(other.students.parameters(), lr=0.05, momentum=0.9, fused=True),
        torch.optim.Adam(other.discriminator.parameters(), lr=1e-2, betas=(0.9, 0.99), fused=True),
    ]
    before = copy.deepcopy(model.discriminator.state_dict())
    for seed in range(4):
        wrapper.update_params(gradients(model, seed))
        gradients(other, seed).backward()
        for optimizer in by_hand:
            optimizer.step()
            optimizer.zero_grad()
        assert_equal_state(model, other)
    assert not torch.equal(before['0.weight'], model.discriminator[0].weight)


def test_groups_are_those_of_the_inner_optimisers():
    model, wrapper = build()
    optimizer = wrapper.optimizer
    members, part = optimizer.optimizers.values()
    assert type(optimizer) is PartOptimizer and list(optimizer.optimizers) == [
        'members',
        'discriminator',
    ]
    assert all(
        group is inner
        for group, inner in zip(optimizer.param_groups, members.param_groups + part.param_groups)
    )
    own = {id(weight) for group in part.param_groups for weight in group['params']}
    assert own == {id(weight) for weight in model.discriminator.parameters()}
    rest = {id(weight) for group in members.param_groups for weight in group['params']}
    assert rest == {id(weight) for weight in model.students.parameters()}
    # SGD's settings do not leak into Adam's groups, and the base rate is that of the members
    assert 'momentum' not in part.param_groups[0] and part.param_groups[0]['betas'] == (0.9, 0.99)
    assert wrapper.get_lr() == dict(lr=[0.05, 1e-2], base_lr=[0.05])
    wrapper.zero_grad()
    wrapper.backward(gradients(model, 0))
    assert all(weight.grad is not None for weight in model.discriminator.parameters())
    wrapper.zero_grad()
    assert all(weight.grad is None for weight in model.parameters())


def test_step_hooks_run_once_a_step_and_closures_are_called_once():
    model, wrapper = build()
    steps, calls = [], []
    wrapper.optimizer.register_step_post_hook(lambda *_: steps.append(len(calls)))

    def closure():
        calls.append(torch.is_grad_enabled())
        loss = gradients(model, 0)
        loss.backward()
        return loss

    assert wrapper.optimizer.step(closure) > 0
    wrapper.optimizer.step()
    assert calls == [True] and steps == [1, 1]


def test_state_dict_goes_round():
    model, wrapper = build()
    assert wrapper.optimizer.state == {}
    for seed in range(2):
        wrapper.update_params(gradients(model, seed))
    state = wrapper.optimizer.state
    assert set(state) == {*model.students.parameters(), *model.discriminator.parameters()}
    assert state[model.discriminator[0].weight]['step'] == 2
    wrapper.optimizer.param_groups[1]['lr'] = 3e-3
    saved = copy.deepcopy((model.state_dict(), wrapper.state_dict()))
    resumed, other = build(seed=1)
    resumed.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    for seed in range(2, 4):
        for each, optim in ((model, wrapper), (resumed, other)):
            optim.update_params(gradients(each, seed))
    assert_equal_state(model, resumed)
    assert_scaler_is_left_out(other, saved[1])
    # still the same dicts: a schedule that changes one changes the step
    optimizer = other.optimizer
    assert optimizer.param_groups[1] is optimizer.optimizers['discriminator'].param_groups[0]
    assert optimizer.param_groups[1]['lr'] == 3e-3


def assert_scaler_is_left_out(wrapper, state):
    """A run in half precision goes on in another one."""
    state = {**state, 'loss_scaler': dict(scale=65536.0)}
    wrapper.load_state_dict(state)
    assert 'loss_scaler' in state and 'loss_scaler' not in wrapper.state_dict()


def test_checkpoints_with_optimisers_of_other_parts():
    _, wrapper = build()
    _, single = build(part_optimizers=None)
    words = "has optimisers of .'discriminator', 'members'., and the checkpoint has a single one"
    with pytest.raises(ValueError, match=words):
        wrapper.optimizer.load_state_dict(single.optimizer.state_dict())
    state = {**wrapper.optimizer.state_dict(), 'critic': {}}
    with pytest.raises(ValueError, match=r"the checkpoint has those of \['critic', 'disc"):
        wrapper.optimizer.load_state_dict(state)


@FUSED
def test_an_overflow_skips_the_step_of_all():
    """The inner optimisers are fused; alone, each would unscale its gradients by itself."""
    model, wrapper = build()
    optimizer = wrapper.optimizer
    scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
    plain, other = build()
    for seed, bad in enumerate((None, model.discriminator, None, model.students, None)):
        before = copy.deepcopy(model.state_dict())
        scaler.scale(gradients(model, seed)).backward()
        if bad is not None:
            next(bad.parameters()).grad[0] = float('inf')
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        changed = {
            name.split('.')[0]
            for name, weight in model.named_parameters()
            if not torch.equal(before[name], weight)
        }
        assert changed == (set() if bad is not None else {'students', 'discriminator'})
        if bad is None and seed == 0:  # unscaled before the step
            other.update_params(gradients(plain, 0))
            for weight, same in zip(model.parameters(), plain.parameters()):
                torch.testing.assert_close(weight, same, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_together():
    model, wrapper = build(clip_grad=dict(max_norm=1e-3))
    wrapper.zero_grad()
    wrapper.backward(gradients(model, 0))
    wrapper._clip_grad()
    grads = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    assert torch.cat(grads).norm() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    'parts, error, words',
    [
        (dict(critic=ADAM), ValueError, r"part_optimizers has unknown .*\['critic'\]; known are "),
        (dict(students=ADAM), ValueError, r"unknown parts of the model \['students'\]"),
        (dict(discriminator=dict(type='Adm')), ValueError, 'part_optimizers.discriminator.type='),
        (dict(discriminator='Adam'), TypeError, 'part_optimizers.discriminator must be a dict'),
        ([ADAM], TypeError, 'optim_wrapper.part_optimizers must be a dict'),
    ],
)
def test_bad_settings(parts, error, words):
    with pytest.raises(error, match=words):
        build(part_optimizers=parts)


def test_a_part_that_the_model_is_built_without():
    """An ablation need not remove its optimiser."""
    model = toy_model('Adversarial', loss_weights=dict(dis=0))
    wrapper = build_optim_wrapper(model, OPTIM)
    assert type(wrapper.optimizer) is torch.optim.SGD


def test_a_parameter_in_two_optimisers():
    weights = list(nn.Linear(2, 2).parameters())
    optimizers = dict(members=torch.optim.SGD(weights, 0.1), part=torch.optim.Adam(weights[:1]))
    with pytest.raises(ValueError, match='more than one parameter group'):
        PartOptimizer(optimizers)


def test_settings_of_the_members_are_not_those_of_a_part():
    cfg = {key: value for key, value in OPTIM.items() if key != 'constructor'}
    cfg['optimizer'] = dict(type='SGD', lr=0.05, weight_decay=0.1)
    paramwise = dict(norm_decay_mult=0.0, custom_keys={'students': dict(lr_mult=0.1)})
    build = StudentOptimWrapperConstructor(cfg, paramwise)
    groups = build(toy_model('Adversarial')).optimizer.param_groups
    assert {round(group['lr'], 6) for group in groups[:-1]} == {0.005}
    assert groups[-1]['lr'] == 1e-2 and len(groups[-1]['params']) == 6
    assert 'part_optimizers' in cfg  # the config stays as it is


# ---- a run


def run(root, work, resume=None):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        model=toy_method('Adversarial'),
        optim_wrapper={**OPTIM, 'accumulative_counts': 2, 'clip_grad': dict(max_norm=5)},
        train_cfg=dict(type='ResumableTrainLoop', max_iters=6, val_interval=100),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=1),
            guards=dict(type='GuardHook'),
            pseudo_labels=dict(type='PseudoLabelHook', interval=2, num_images=2, pictures=0),
        ),
    )
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    return runner, notes.losses


def test_schedule_and_resume(root, tmp_path):
    """With accumulation, clipping, PolyLR for both optimisers, checkpoints, guards."""
    runner, whole = run(root, tmp_path / 'whole')
    rates = [group['lr'] for group in runner.optim_wrapper.optimizer.param_groups]
    assert rates[0] / 0.05 == pytest.approx(rates[1] / 1e-2) and rates[0] < 0.05
    again, losses = run(root, tmp_path / 'again', str(tmp_path / 'whole' / 'iter_4.pth'))
    assert losses == later(whole, 4) and len(losses) == 2
    assert_equal_state(runner.model, again.model)
    moments = [
        each.optim_wrapper.optimizer.optimizers['discriminator'].state_dict()['state']
        for each in (runner, again)
    ]
    assert moments[0][0]['step'] == 3  # steps of the optimiser, in six iterations
    assert all(torch.equal(moments[0][i]['exp_avg'], moments[1][i]['exp_avg']) for i in moments[0])
    assert NUM_CLASSES == runner.model.discriminator[0].in_channels
