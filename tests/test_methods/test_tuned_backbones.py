# Copyright (c) mmseg_ctt contributors.
"""Frozen and adapted backbones and layer-wise rates in training steps of several methods."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from toy import losses_of, toy_batch, toy_model, toy_settings
from tuned import TUNINGS, vit_segmentor

from mmseg_ctt.engine import TeacherEMAHook
from mmseg_ctt.methods.followers import paired_tensors
from mmseg_ctt.nn.lora import is_adapter
from mmseg_ctt.nn.tuning import WeightCount, set_trained

pytest.importorskip('timm', reason='timm is not installed')

METHODS = ('CrossTeacherTraining', 'MeanTeacher', 'FixMatchSeg', 'UniMatchV2')
OPTIM = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1),
)
every_method = pytest.mark.parametrize('kind', METHODS)
every_tuning = pytest.mark.parametrize('tuning', TUNINGS)


def build(kind, tuning, **settings):
    given = dict(toy_settings(kind), **settings)
    return toy_model(kind, **{**given, 'segmentor': vit_segmentor(**TUNINGS[tuning])})


def trained(model, steps=2, **optim):
    """The model after some updates of students and teachers."""
    runner = SimpleNamespace(
        model=model, optim_wrapper=build_optim_wrapper(model, dict(OPTIM, **optim))
    )
    TeacherEMAHook(alpha=0.5).before_train(runner)
    for seed in range(steps):
        loss, _ = model.parse_losses(losses_of(model, toy_batch(labeled=2, unlabeled=4, seed=seed)))
        runner.optim_wrapper.update_params(loss)
    return model


def is_frozen(name, tuning):
    """Whether a weight of a student stays as it was."""
    return '.backbone.' in name and not (
        tuning == 'full' or (tuning == 'lora' and is_adapter(name))
    )


@every_tuning
@every_method
def test_a_step(kind, tuning):
    model = build(kind, tuning)
    before = copy.deepcopy(model.state_dict())
    trained(model)
    for name, weight in model.students.named_parameters():
        frozen = is_frozen(name, tuning)
        assert weight.requires_grad != frozen, name
        assert torch.equal(weight, before[f'students.{name}']) == frozen, name
    state = model.state_dict()
    for follower, followed in ((f.module, f.followed) for f in model.followers()):
        for (name, average), weight in zip(follower.named_parameters(), followed.parameters()):
            assert not average.requires_grad
            assert torch.equal(average, weight) == (not weight.requires_grad), name
    moved = [name for name in before if not torch.equal(before[name], state[name])]
    adapters = [name for name in moved if is_adapter(name)]
    members = {name.split('.backbone')[0] for name in adapters}
    assert len(members) == (tuning == 'lora') * len(model.members)


@every_method
def test_students_with_frozen_backbones_differ_by_their_heads(kind):
    model = trained(build(kind, 'frozen'))
    states = [student.state_dict() for student in model.students]
    for one, other in zip(states, states[1:]):
        assert not torch.equal(
            one['decode_head.conv_seg.weight'], other['decode_head.conv_seg.weight']
        )


def saved_numbers(model, image):
    """Numbers that autograd keeps of a pass of the backbone, besides the weights."""
    weights = {weight.data_ptr() for weight in model.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        maps = model.backbone(image)
    return sum(kept.values()), maps


def test_a_frozen_backbone_keeps_no_activations_and_stays_in_eval_mode():
    image, counts = torch.rand(2, 3, 32, 32), {}
    for tuning, settings in TUNINGS.items():
        model = MODELS.build(vit_segmentor(**settings, drop_path_rate=0.5)).train()
        counts[tuning], maps = saved_numbers(model, image)
        assert maps[-1].requires_grad == (tuning != 'frozen')
        modes = {module.training for module in model.backbone.modules()}
        assert modes == {tuning != 'frozen'} and model.decode_head.training
    assert counts['frozen'] == 0 < counts['lora'] and counts['full'] > 0


def test_a_gradient_to_the_input_passes_a_frozen_backbone():
    model = MODELS.build(vit_segmentor(frozen=True)).train()
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    model.backbone(image)[-1].sum().backward()
    assert image.grad.abs().sum() > 0


def test_gradient_checkpointing_with_adapters():
    """Blocks without a trained input are computed again too, with the same gradients."""
    image, gradients = torch.rand(2, 3, 32, 32), []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        settings = dict(TUNINGS['lora'], gradient_checkpointing=checkpointing)
        model = MODELS.build(vit_segmentor(**settings)).train()
        model.backbone(image)[-1].square().sum().backward()
        gradients.append(
            {n: w.grad for n, w in model.backbone.named_parameters() if w.requires_grad}
        )
    plain, again = gradients
    assert plain.keys() == again.keys() and all(map(is_adapter, plain))
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, again[name])


@every_method
def test_rates_by_layer(kind):
    """Students' blocks learn at rates of their layers, adapters at those of their block."""
    model = build(kind, 'lora')
    paramwise = dict(layer_decay=0.5, custom_keys={'decode_head': dict(lr_mult=40.0)})
    wrapper = build_optim_wrapper(model, dict(OPTIM, paramwise_cfg=paramwise))
    rates = {
        id(weight): group['lr']
        for group in wrapper.optimizer.param_groups
        for weight in group['params']
    }
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            assert id(weight) not in rates, name
        elif '.backbone.' in name:
            assert rates[id(weight)] == 0.01 * 0.5 ** (2 - int(name.split('blocks.')[1][0])), name
        elif '.decode_head.' in name:
            assert rates[id(weight)] == pytest.approx(0.4), name


def test_equal_frozen_weights_need_no_average():
    """They are left out of the update; those that differ, after another training, are not."""
    model = build('MeanTeacher', 'frozen')
    heads = sum(1 for _ in model.students[0].decode_head.parameters())
    assert len(paired_tensors(model.followers(), buffers=False)['average'][0]) == heads
    with torch.no_grad():
        next(model.teachers[0].backbone.parameters()).add_(1)
    assert len(paired_tensors(model.followers(), buffers=False)['average'][0]) == heads + 1


def test_a_member_that_trains_again_keeps_what_is_frozen():
    network = MODELS.build(vit_segmentor(**TUNINGS['lora']))
    count = WeightCount.of(network)
    assert 0 < count.trained < count.total
    assert WeightCount.of(set_trained(network, False)).trained == 0
    assert WeightCount.of(set_trained(network, True)) == count


@pytest.mark.parametrize(
    'settings, error, message',
    [
        (dict(frozen=True, lora={}), ValueError, 'backbone.frozen=True trains nothing .* set one'),
        (dict(frozen=1), TypeError, 'backbone.frozen must be True or False'),
        (dict(lora=dict(targets=['query'])), ValueError, "no linear layer 'query'; it has .*'qkv'"),
        (dict(lora=True), TypeError, 'backbone.lora must be a dict'),
        (dict(frozen=True, gradient_checkpointing=True), ValueError, 'keeps no activations'),
    ],
)
def test_wrong_settings(settings, error, message):
    with pytest.raises(error, match=message):
        MODELS.build(vit_segmentor(**settings))


def test_rates_by_layer_of_a_frozen_backbone():
    model = build('MeanTeacher', 'frozen')
    with pytest.raises(ValueError, match='layer_decay is unused: .*remove it, or .*frozen=True'):
        build_optim_wrapper(model, dict(OPTIM, paramwise_cfg=dict(layer_decay=0.5)))


def test_the_log_counts_trained_weights(monkeypatch):
    lines = []
    monkeypatch.setattr('mmseg_ctt.engine.optim.show', lines.append)
    for tuning in TUNINGS:
        build_optim_wrapper(build('CrossTeacherTraining', tuning), OPTIM)
    assert [line.split()[0] for line in lines] == ['student0', 'student1'] * 2
    assert all(' trains ' in line and line.endswith('weights') for line in lines)
