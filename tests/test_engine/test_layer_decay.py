# Copyright (c) mmseg_ctt contributors.
"""Layer-wise decay of the learning rate: layers of many networks, several students, errors."""

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn
from toy import toy_model
from toy_run import small_segmentor

from mmseg_ctt.engine import StudentOptimWrapperConstructor
from mmseg_ctt.engine.guards.parts import other_constructor
from mmseg_ctt.engine.layer_decay import LayerDecay, is_decayed, layer_rates
from mmseg_ctt.engine.resumed_settings import _check_groups

RATE = 0.5
OPTIM = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.5))
TIMM = {  # a name each for the kinds of timm, and settings that make it small
    'vit_tiny_patch16_224': dict(depth=3, embed_dim=24, num_heads=2),
    'vit_small_patch16_dinov3': dict(depth=3, embed_dim=24, num_heads=2),
    'beit_base_patch16_224': dict(depth=3, embed_dim=24, num_heads=2),
    'swin_tiny_patch4_window7_224': dict(depths=(2, 1, 2, 1), embed_dim=8, num_heads=(1, 1, 2, 2)),
    'convnext_atto': dict(depths=(1, 2, 1, 1), dims=(4, 8, 8, 8)),
    'resnet18': {},
}
NETWORKS = {  # of mmseg
    'BEiT': dict(
        img_size=32, patch_size=16, embed_dims=8, num_layers=2, num_heads=2, out_indices=1
    ),
    'VisionTransformer': dict(
        img_size=32, patch_size=16, embed_dims=8, num_layers=2, num_heads=2, out_indices=1
    ),
    'SwinTransformer': dict(embed_dims=8, depths=(1, 2, 1, 1), num_heads=(1, 1, 1, 1)),
    'ResNet': dict(depth=18, base_channels=4, stem_channels=4),
}


@pytest.mark.parametrize('name', TIMM)
def test_layers_are_those_of_timm(name):
    """Apart from the last norm, which timm counts to the last block and mmseg after it."""
    timm = pytest.importorskip('timm', exc_type=ImportError, reason='timm is not installed')
    model = timm.create_model(name, num_classes=0, **TIMM[name])
    matcher = model.group_matcher(coarse=False)
    groups = timm.models.group_parameters(model, matcher, reverse=True)
    names = [f'backbone.timm_model.model.{name}' for name, _ in model.named_parameters()]
    rates = layer_rates(names, LayerDecay(RATE))
    blocks = [n for n in names if rates[n].layer != 'last norm']
    number = {n: groups[n[len('backbone.timm_model.model.') :]] for n in blocks}
    depth = max(number.values())
    assert {n: rates[n].factor for n in blocks} == {
        n: RATE ** (depth - number[n] + 1) for n in blocks
    }
    assert {rates[n].factor for n in names if n not in blocks} <= {1.0}
    assert len(set(number.values())) > 3


@pytest.mark.parametrize('kind', NETWORKS)
def test_networks_of_mmseg(kind):
    network = MODELS.build(dict(type=kind, **NETWORKS[kind]))
    names = [f'backbone.{name}' for name, _ in network.named_parameters()]
    rates = layer_rates(names, LayerDecay(RATE))
    blocks = {rate.layer for rate in rates.values()} - {'embedding', 'last norm'}
    assert rates.keys() == set(names)
    assert len(blocks) == dict(BEiT=2, VisionTransformer=2, SwinTransformer=5, ResNet=8)[kind]
    assert rates[names[0]] == (RATE ** (len(blocks) + 1), 'embedding')


def settings_of(model, paramwise, optimizer=None):
    """Learning rate and weight decay of each trained weight."""
    cfg = dict(OPTIM, optimizer={**OPTIM['optimizer'], **(optimizer or {})})
    wrapper = StudentOptimWrapperConstructor(cfg, paramwise)(model)
    found = {
        id(weight): (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for weight in group['params']
    }
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {names[key]: value for key, value in found.items()}, wrapper


@pytest.fixture
def with_blocks():
    """Two students and teachers whose backbone is a small ResNet of mmseg."""
    segmentor = small_segmentor()
    segmentor['backbone'].pop('init_cfg')
    return toy_model(segmentor=segmentor)


def test_two_students_and_no_teacher(with_blocks):
    keys = {'decode_head': dict(lr_mult=40.0), 'backbone': dict(lr_mult=0.5)}
    rates, wrapper = settings_of(with_blocks, dict(layer_decay=RATE, custom_keys=keys))
    assert rates and all(name.startswith('students.') for name in rates)
    for i in (0, 1):
        stem, block = f'students.{i}.backbone.conv1.weight', f'students.{i}.backbone.layer2.1'
        assert rates[stem] == (0.5 * RATE**5, 0.5)  # four blocks in two stages
        assert rates[f'{block}.conv1.weight'] == (0.5 * RATE, 0.5)
        assert rates[f'{block}.bn1.weight'] == (0.5 * RATE, 0.0)
        assert rates[f'students.{i}.decode_head.conv_seg.weight'] == (40.0, 0.5)
        assert rates[f'students.{i}.decode_head.conv_seg.bias'] == (40.0, 0.0)
    groups = [
        tuple(sorted((k, str(v)) for k, v in group.items() if k != 'params'))
        for group in wrapper.optimizer.param_groups
    ]
    assert len(set(groups)) == len(groups) < 16


def test_a_weight_decay_that_is_set_stays(with_blocks):
    keys = {'backbone': dict(decay_mult=2.0)}
    rates, _ = settings_of(with_blocks, dict(layer_decay=RATE, custom_keys=keys))
    assert rates['students.0.backbone.bn1.weight'] == (RATE**5, 1.0)
    assert rates['students.0.decode_head.conv_seg.bias'] == (1.0, 0.0)


@pytest.mark.parametrize('kind, usual', [('AdamW', 0.01), ('SGD', 0), ('Adam', 0)])
def test_a_weight_decay_that_is_left_out(kind, usual, with_blocks):
    """AdamW decays by default, and its norms and biases must not; others keep their groups."""
    cfg = dict(type='OptimWrapper', optimizer=dict(type=kind, lr=1.0))
    wrapper = StudentOptimWrapperConstructor(cfg, dict(layer_decay=RATE))(with_blocks)
    groups = wrapper.optimizer.param_groups
    decays = {
        weight.ndim > 1: group['weight_decay'] for group in groups for weight in group['params']
    }
    assert decays == {True: usual, False: 0}
    rates = {group['lr'] for group in groups}
    if usual:
        assert len(groups) > len(rates)
    else:  # an older run, whose groups are those of the rates, resumes
        assert len(groups) == len(rates)


def test_groups_of_a_run_whose_norms_decayed_by_default(with_blocks):
    """The error of a resumed run says how to have the groups of an older version; that works."""

    def optimizer(paramwise, **settings):
        cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, **settings))
        return StudentOptimWrapperConstructor(cfg, paramwise)(with_blocks).optimizer

    decayed = dict(layer_decay=RATE, custom_keys={'': dict(decay_mult=1)})
    before = optimizer(decayed, weight_decay=0.01)
    assert {group['weight_decay'] for group in before.param_groups} == {0.01}
    assert len(before.param_groups) == len({group['lr'] for group in before.param_groups})
    now, state = optimizer(dict(layer_decay=RATE)), before.state_dict()
    with pytest.raises(ValueError, match='optimizer.weight_decay=0.01 and .*decay_mult=1') as error:
        _check_groups('optim_wrapper.optimizer', state, now)
    assert "{'': dict(decay_mult=1)}" in str(error.value)
    _check_groups('optim_wrapper.optimizer', state, before)
    other = optimizer(dict(), weight_decay=0.5)
    with pytest.raises(ValueError, match='frozen parts') as error:
        _check_groups('optim_wrapper.optimizer', other.state_dict(), now)
    assert 'decay_mult' not in str(error.value)


def test_rate_of_one_changes_no_learning_rate(with_blocks):
    rates, _ = settings_of(with_blocks, dict(layer_decay=1.0))
    assert {lr for lr, _ in rates.values()} == {1.0}


def test_table_in_the_log(with_blocks):
    constructor = StudentOptimWrapperConstructor(OPTIM, dict(layer_decay=RATE))
    constructor(with_blocks)
    lines = constructor.rate_table.splitlines()
    assert len(lines) == 1 + 6 and 'layer_decay=0.5' in lines[0]
    assert lines[1].split()[:3] == ['other', 'parts', 'lr=1']
    assert lines[-1].split()[:2] == ['embedding', f'lr={RATE**5:.3g}']


@pytest.mark.parametrize(
    'name', ['cls_token', 'timm_model.model.pos_embed', 'reg_token', 'relative_position_bias_table']
)
def test_embeddings_and_tokens_are_not_decayed(name):
    assert not is_decayed(name, torch.nn.Parameter(torch.zeros(1, 2, 3)))
    assert is_decayed(f'{name}.proj.weight', torch.nn.Parameter(torch.zeros(2, 3)))
    assert not is_decayed('blocks.0.norm1.weight', torch.nn.Parameter(torch.zeros(3)))


@pytest.mark.parametrize(
    'paramwise, error, message',
    [
        (dict(layer_decay=1.5), ValueError, r'layer_decay must be in \(0, 1\]'),
        (dict(layer_decay='0.75'), TypeError, 'layer_decay.rate must be a number'),
        (dict(layer_decay=dict(first=['stem'])), ValueError, 'lacks the setting rate'),
        (dict(layer_decay=dict(rate=0.7, first='stem')), TypeError, 'layer_decay.first must be a'),
        (dict(layer_decay=dict(rate=0.7, last=[3])), TypeError, 'layer_decay.last must be a list'),
        (dict(layer_decay=dict(rate=0.7, last=[''])), TypeError, 'layer_decay.last must be a list'),
        (dict(layer_decay=dict(rate=0.7, layers=3)), ValueError, "unknown settings .'layers'"),
        (dict(layer_decays=0.75), ValueError, "paramwise_cfg has unknown settings .'layer_decays'"),
        (dict(num_layers=12, decay_rate=0.9), ValueError, 'known are .*layer_decay'),
    ],
)
def test_wrong_settings(paramwise, error, message):
    with pytest.raises(error, match=message):
        StudentOptimWrapperConstructor(OPTIM, paramwise)


def test_no_learning_rate_to_multiply():
    with pytest.raises(ValueError, match='needs optim_wrapper.optimizer.lr'):
        StudentOptimWrapperConstructor(
            dict(OPTIM, optimizer=dict(type='AdamW')), dict(layer_decay=RATE)
        )


def test_a_weight_of_an_unknown_layer():
    model = toy_model()
    message = r"weight backbone.body.weight belongs to: set .*first=\['body.weight'\]"
    with pytest.raises(ValueError, match=message):
        settings_of(model, dict(layer_decay=RATE))
    rates, _ = settings_of(model, dict(layer_decay=dict(rate=RATE, first=['norm'], last=['body'])))
    assert rates['students.1.backbone.stem.weight'][0] == RATE
    assert rates['students.1.backbone.body.weight'][0] == 1.0


def test_no_backbone_trains():
    model = toy_model()
    model.students.requires_grad_(False)
    model.students[0].decode_head.requires_grad_(True)
    with pytest.raises(ValueError, match='layer_decay is unused: no weight of a backbone trains'):
        settings_of(model, dict(layer_decay=RATE))


def test_a_constructor_that_has_no_layer_decay():
    wrapper = dict(optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict(layer_decay=0.5))
    for name in ({}, dict(constructor='DefaultOptimWrapperConstructor')):
        line = other_constructor(nn.Linear(1, 1), {**wrapper, **name})
        assert 'layer_decay is unused' in line and 'StudentOptimWrapperConstructor"' in line
    own = dict(wrapper, constructor='StudentOptimWrapperConstructor')
    assert other_constructor(nn.Linear(1, 1), own) is None
