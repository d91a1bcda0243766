# Copyright (c) mmseg_ctt contributors.
"""Configs of Pascal VOC and Cityscapes have the settings of the released code, or say what differs.

``released.py`` has the values. What differs on purpose must be in the header of the config, and the
method must have a line in the table of docs/parity.md.
"""

import copy
import re
from typing import Any

import pytest
import torch
from leaves import CONFIGS, LEAVES, leaf, network, shrink
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from released import CITY, DIFFERENT, RELEASED, VOC

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.methods import registered_methods

PARITY = (CONFIGS.parent / 'docs' / 'parity.md').read_text()


def value_of(name: str, key: str) -> Any:
    """A value of a config; None where it has no such key."""
    root, _, rest = key.partition('.')
    cfg = leaf(name)
    node = network(cfg) if root == 'network' else cfg.get(root)
    for part in rest.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(part)]
        else:
            node = None if node is None else node.get(part)
    return node


def header(name: str) -> str:
    """The comment at the top of a config, as one line."""
    text = re.match(r'(#.*\n)+', LEAVES[name].read_text())[0]
    return re.sub(r'\n# ?', ' ', text)


@pytest.mark.parametrize('released', RELEASED, ids=[released.name for released in RELEASED])
def test_settings_are_those_of_the_released_code(released):
    found = {key: value_of(released.name, key) for key in released.values}
    wanted = {
        key: pytest.approx(value) if isinstance(value, float) else value
        for key, value in released.values.items()
    }
    assert found == wanted, released.source


@pytest.mark.parametrize('name', DIFFERENT)
def test_what_differs_is_in_the_header(name):
    for words in DIFFERENT[name]:
        assert re.search(words, header(name)), words


def test_every_method_with_a_release_is_in_the_table():
    names = {released.name.split('/')[0] for released in RELEASED}
    lines = re.findall(r'^\| \[(\w+)\]\(\.\./configs/\w+/README\.md\) \|', PARITY, re.MULTILINE)
    assert names <= set(lines)


@pytest.mark.parametrize('source', ['labeled', 'unlabeled'])
@pytest.mark.parametrize('data', [VOC, CITY])
def test_guidedmix_distorts_colours_of_both(data, source):
    cfg = leaf(f'guidedmix/guidedmix_deeplabv3plus_{data}.py')
    steps = [step.type for step in cfg.train_dataloader.dataset[source].pipeline]
    usual = leaf(f'cps/cps_deeplabv3plus_{data}.py').train_dataloader.dataset[source].pipeline
    assert steps == [*(step.type for step in usual[:-1]), 'PhotoMetricDistortion', 'PackSegInputs']


def learns_features(name):
    method = registered_methods().get(leaf(name).model.type)
    return method is not None and not method.trains_heads


SCALED = sorted(name for name in LEAVES if CITY in name and value_of(name, 'sizes.ratio_range'))


def test_all_deeplabv3plus_configs_of_cityscapes_resize():
    """Those that learn features alone have views of their own sizes."""
    assert [name for name in SCALED if 'deeplabv3plus' in name] == sorted(
        name for name in LEAVES if f'deeplabv3plus_{CITY}' in name and not learns_features(name)
    )


@pytest.mark.parametrize('name', SCALED)
def test_images_are_resized_at_random(name):
    cfg = prepare_config(copy.deepcopy(leaf(name)))
    dataset = cfg.train_dataloader.dataset
    for source in [dataset.labeled, *([dataset.unlabeled] if dataset.get('unlabeled') else [])]:
        (step,) = [step for step in source.pipeline if step.type == 'RandomResize']
        # foundation models take crops of 798 of whole images, the others of halved ones
        scale = (2048, 1024) if 'dinov' in name else (1024, 512)
        assert (step.scale, step.ratio_range) == (scale, (0.5, 2.0))


@pytest.mark.parametrize('name', [released.name for released in RELEASED])
def test_rates_and_decays_of_the_optimiser(name):
    """What the settings mean for the weights: decay of norms and biases, rate of the decoder."""
    cfg = copy.deepcopy(leaf(name))
    shrink(cfg._cfg_dict['model'])
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    of = {id(weight): group for group in groups for weight in group['params']}
    student, optimizer = model.students[0], cfg.optim_wrapper.optimizer
    weight_decay = optimizer.get('weight_decay', 0)
    params = cfg.optim_wrapper.get('paramwise_cfg', {})
    decoder, backbone = (
        params.get('custom_keys', {}).get(part, {}).get('lr_mult', 1)
        for part in ('decode_head', 'backbone')
    )
    (rate,) = {of[id(weight)]['lr'] for weight in student.backbone.parameters()}
    assert rate == pytest.approx(optimizer.lr * backbone)
    head = of[id(student.decode_head.conv_seg.weight)]
    assert head['lr'] == pytest.approx(optimizer.lr * decoder)
    assert head['weight_decay'] == weight_decay
    norms = [module for module in student.backbone.modules() if hasattr(module, 'running_mean')]
    decay = 0 if params.get('norm_decay_mult') == 0 else weight_decay
    assert {of[id(norm.weight)]['weight_decay'] for norm in norms} == {decay}


# ---- defaults of the classes


def test_defaults_are_safe_for_a_short_run():
    """Each was wrong once: the numbers are in docs/lab_notebook.md."""
    methods = registered_methods()
    assert next(iter(methods['GuidedMixNet'].modes)) == 'released'
    for kind, method in methods.items():
        part = method.consistency_class
        assert 'teacher_mode' not in vars(method) and 'joint_forward' not in vars(method), kind
        if kind == 'AEL':
            assert part(num_classes=3).confidence_threshold == 0.7


def test_teachers_take_labelled_and_unlabelled_images_apart():
    """In one pass they cost 3.2 points on CamVid's test images (docs/lab_notebook.md)."""
    joint = {name for name in LEAVES if value_of(name, 'model.joint_forward') is True}
    as_released = {name for name in joint if name.startswith('u2pl/')}
    assert joint == as_released
    presets = CONFIGS.joinpath('_base_', 'methods').glob('*.py')
    assert {path.stem for path in presets if 'joint_forward=True' in path.read_text()} <= {'u2pl'}


def test_ctt_plus_is_one_recipe():
    """Its settings are those of the preset on all data; images and network alone differ."""
    preset = Config.fromfile(CONFIGS / '_base_' / 'methods' / 'ctt_plus.py').to_dict()
    names = [name for name in LEAVES if name.startswith('ctt_plus/')]
    assert len(names) > 5
    for name in names:
        found = leaf(name).to_dict()
        merged = Config(copy.deepcopy(found))
        merged.merge_from_dict(preset)
        assert merged.to_dict() == found, name


def test_a_divided_gradient_is_a_divided_rate_with_more_decay():
    """Why AEL's configs have an eighth of the rate and eight times the decay of the release."""
    weights = [torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    released = torch.optim.SGD(weights[:1], lr=0.01, momentum=0.9, weight_decay=1e-4)
    ours = torch.optim.SGD(weights[1:], lr=0.00125, momentum=0.9, weight_decay=8e-4)
    torch.manual_seed(0)
    for _ in range(5):
        gradient = torch.randn(3, dtype=torch.float64)
        weights[0].grad, weights[1].grad = gradient / 8, gradient.clone()
        released.step()
        ours.step()
    torch.testing.assert_close(*weights, rtol=1e-14, atol=0)
