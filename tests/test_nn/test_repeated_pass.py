# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.registry import MODELS
from no_sync import record
from torch import nn
from toy import prepared, toy_model

from mmseg_ctt.nn.auxiliary_tasks import StudentPass
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.member import constant_weights
from mmseg_ctt.nn.repeated_pass import RandomState, constant_statistics


def states(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def unchanged(module, before):
    return all(torch.equal(before[key], value) for key, value in module.state_dict().items())


# ---- statistics


@pytest.mark.parametrize('kind', [nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize('training', [True, False])
def test_statistics_stay_and_outputs_are_the_same(kind, training):
    layer, image = kind(3, momentum=0.5).train(training), 5 + torch.randn(4, 3, 2, 2)
    layer.running_mean.fill_(2.0)
    before = states(layer)
    with constant_statistics(nn.Sequential(layer)):
        got = layer(image)
    assert unchanged(layer, before) and layer.track_running_stats
    assert torch.equal(got, layer(image))
    assert unchanged(layer, before) == (not training)  # it moves again


def test_layers_without_averages_stay_without():
    layer = nn.BatchNorm2d(3, track_running_stats=False)
    with pytest.raises(KeyError), constant_statistics(layer):
        raise KeyError
    assert not layer.track_running_stats


def checkpointed_resnet():
    norm = dict(type='BN')
    network = MODELS.build(dict(type='ResNetV1c', depth=18, norm_cfg=norm, with_cp=True))
    network.train()
    return network


def test_statistics_stay_where_activations_are_computed_again():
    """The backward pass of ``with_cp`` would move them after the block."""
    network = checkpointed_resnet()
    before = states(network)
    image = torch.randn(2, 3, 32, 32)
    with constant_statistics(network):
        total = sum(level.sum() for level in network(image))
    total.backward()
    assert unchanged(network, before)
    assert all(layer.with_cp for layer in network.modules() if hasattr(layer, 'with_cp'))


def test_checkpointing_of_timm_is_off_in_the_block():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network.grad_checkpointing = True  # a network of timm reads it in each pass
    network[0].grad_checkpointing = False
    with constant_statistics(network):
        assert not network.grad_checkpointing
    assert network.grad_checkpointing and not network[0].grad_checkpointing


def test_a_gradient_of_the_image_where_activations_are_computed_again():
    network, image = checkpointed_resnet(), torch.randn(2, 3, 32, 32, requires_grad=True)
    with constant_statistics(network):
        total = sum(level.square().sum() for level in network(image))
        (gradient,) = torch.autograd.grad(total, image)
    assert gradient.abs().sum() > 0


def test_constant_weights_where_activations_are_computed_again():
    """A backward pass after the block gives them no gradient."""
    network, image = checkpointed_resnet(), torch.randn(2, 3, 32, 32, requires_grad=True)
    with constant_weights(network):
        total = sum(level.square().sum() for level in network(image))
    total.backward()
    assert image.grad.abs().sum() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())


# ---- dropout


def test_dropout_repeats_and_the_generator_goes_on():
    drop, ones = nn.Dropout(), torch.ones(50)
    torch.manual_seed(0)
    state = RandomState.of(ones.device)
    first, second = drop(ones), drop(ones)
    torch.manual_seed(0)
    drop(ones)
    with state.restored():
        again, further = drop(ones), drop(ones)
    assert torch.equal(first, again) and torch.equal(second, further)
    assert torch.equal(drop(ones), second) and not torch.equal(first, second)


# ---- a student


def student_pass(**settings):
    model = toy_model('S4L', dropout=0.5, auxiliary_tasks=[], **settings)
    data = prepared(model)
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }
    return StudentPass(model.students[0], images, model.data_preprocessor)


def test_the_same_image_gives_the_same_output():
    student = student_pass()
    image = student.images['unlabeled'].image
    first = student.output('unlabeled').logits
    before = states(student.member)
    student.output('labeled')  # draws in between
    moved = states(student.member)
    assert torch.equal(student.repeat('unlabeled', image).logits, first)
    assert not torch.equal(student.repeat('unlabeled', image + 0.1).logits, first)
    assert unchanged(student.member, moved) and not unchanged(student.member, before)


def test_a_repeated_pass_alone_makes_the_first_one():
    student = student_pass()
    image = student.images['unlabeled'].image
    assert torch.equal(
        student.repeat('unlabeled', image).logits, student.output('unlabeled').logits
    )


def test_nothing_waits_for_the_device():
    student = student_pass()
    image = student.images['unlabeled'].image
    assert record(lambda: student.repeat('unlabeled', image).logits.sum().backward()) == []
