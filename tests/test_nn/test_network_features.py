# Copyright (c) mmseg_ctt contributors.
"""Every decode head of mmseg in methods and tasks that read or change feature maps.

Every such method takes one network of each kind of features; every network is taken by one method
that changes all maps, one that reads and changes the deepest, and all auxiliary tasks.
"""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from networks import FCN, NETWORKS, batch_with_edges, segmentor
from test_networks import REFUSED, TRIED
from toy import at_iteration, losses_of, total_of, toy_batch, toy_model

from mmseg_ctt.methods import SemiSegmentor, registered_methods
from mmseg_ctt.nn.deepest_map import deepest_map, deepest_width, with_deepest_map
from mmseg_ctt.nn.head_checks import check_heads, loss_warnings
from mmseg_ctt.nn.loss_maps import map_names
from mmseg_ctt.nn.member import build_member, decode
from mmseg_ctt.nn.signatures import inherited_settings

METHODS = registered_methods()
WORKING = [name for name in TRIED if name not in REFUSED]
SETTINGS = {'feature_perturbation', 'adversarial'}
TASKS = [
    dict(type='RotationTask', supervise=0.5),
    dict(type='ExemplarTask', views=2),
    dict(type='PatchMatchingTask', num_patches=2, patch_size=32, pool=1, embedding_dim=4),
]


def reads_maps(method: type) -> bool:
    """Whether a method reads feature maps, changes them, or has tasks that read them."""
    settings = {parameter.name for parameter in inherited_settings(method, 'build')}
    own_layers = method.segmentor_of.__func__ is not SemiSegmentor.segmentor_of.__func__
    tasks = method.default_auxiliary_tasks
    return bool(method.reads_features or tasks or own_layers or settings & SETTINGS)


def features_of(name: str) -> tuple:
    """What there is to know of the features of a network, and of how its head reads them."""
    cfg = NETWORKS[name]
    heads = cfg['decode_head']
    head = heads[0] if isinstance(heads, list) else heads
    inner = head.get('kernel_generate_head', head)
    several = type(inner.get('in_channels'))
    token, cascade = cfg['backbone'].get('output_cls_token'), isinstance(heads, list)
    own = None if 'in_index' in inner else cfg['backbone']['type']
    return token, cascade, inner is head, several, own


# one network of each; methods that train no head refuse auxiliary ones
KINDS = {features_of(name): name for name in WORKING if ',' not in name}


def settings_of(kind: str, network: dict, **changes) -> dict:
    """Settings with which a method works on toy data, without layers of another network."""
    own = {key: value for key, value in METHODS[kind].toy_settings.items() if key != 'segmentor'}
    return {**own, 'segmentor': network, **changes}


def steps(kind: str, name: str, **changes):
    """The model after a step, or None after an error that names the setting."""
    try:
        model = toy_model(kind, **settings_of(kind, NETWORKS[name], **changes))
    except (TypeError, ValueError) as error:
        assert str(error).startswith('model.'), error
        return None
    at_iteration(50)
    total = total_of(losses_of(model, batch_with_edges()), model)
    assert total.requires_grad and torch.isfinite(total)
    return model


@pytest.mark.parametrize('kind', [kind for kind in sorted(METHODS) if reads_maps(METHODS[kind])])
def test_methods_on_every_kind_of_features(kind):
    for name in KINDS.values():
        steps(kind, name)


@pytest.mark.parametrize('name', WORKING)
def test_every_network(name):
    model = steps('UniMatch', name, channels_last=True)
    check_heads(model)
    assert loss_warnings(model) == []
    assert steps('AllSpark', name) and steps('S4L', name, auxiliary_tasks=TASKS)


@pytest.mark.parametrize('name', ['DPTHead', 'PIDHead', 'DDRHead'])
def test_passes_in_eval_mode(name):
    """Teachers that do not train read features of a student that does; labels in eval mode."""
    assert steps('PSMT', name, teacher_mode='eval') and steps('AllSpark', name, mode='released')
    model = toy_model('AllSpark', **settings_of('AllSpark', NETWORKS[name])).eval()
    with torch.no_grad():
        (sample, _) = model.predict(torch.randn(2, 3, 32, 32))
    assert sample.pred_sem_seg.shape == (32, 32)


def test_a_method_that_moves_labels_takes_edges_along():
    assert steps('AEL', 'PIDHead') is not None


def test_views_join_the_pass_of_a_network_with_class_tokens():
    steps('S4L', 'DPTHead', auxiliary_tasks=[dict(type='RotationTask', joint_forward=True)])


@pytest.mark.parametrize('name', WORKING)
def test_the_deepest_map(name):
    """Its width is known, and the logits depend on it."""
    member = build_member(NETWORKS[name], embedding=False).train()
    features = list(member.extract_feat(torch.randn(2, 3, 32, 32)))
    found = deepest_map(member, features)
    assert found.shape[1] == deepest_width(member)
    (gradient,) = torch.autograd.grad(decode(member, features, False).logits.exp().sum(), found)
    assert gradient.any()
    changed = with_deepest_map(member, features, torch.zeros_like)
    assert not deepest_map(member, changed).any()
    others = [a is b for a, b in zip(features, changed)]
    assert others.count(False) == 1


def test_a_head_of_concatenated_maps():
    """It knows the sum of their widths; CorrMatch and the like need that of the deepest."""
    head = dict(FCN, in_channels=[16, 32], in_index=[2, 3], input_transform='resize_concat')
    network = segmentor(head)
    for kind in ('CorrMatch', 'CrossConsistency'):
        model = toy_model(kind, **settings_of(kind, network))
        assert torch.isfinite(total_of(losses_of(model, toy_batch()), model))


def test_a_head_that_does_not_say_what_it_reads_is_refused():
    @MODELS.register_module(force=True)
    class BlindHead(MODELS.get('FCNHead')):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            del self.in_index

    network = segmentor(dict(FCN, type='BlindHead'))
    for kind in ('CrossConsistency', 'PSMT', 'CorrMatch', 'S4L'):
        more = dict(auxiliary_tasks=TASKS) if kind == 'S4L' else {}
        with pytest.raises(ValueError, match=r'^model\.segmentor\.decode_head: BlindHead has no'):
            toy_model(kind, **settings_of(kind, network, **more))


def test_weights_of_pixels_in_knet():
    weighted = dict(type='PixelCrossEntropyLoss', weight_map='weight')
    head = dict(NETWORKS['IterativeDecodeHead']['decode_head'])
    head['kernel_generate_head'] = dict(head['kernel_generate_head'], loss_decode=weighted)
    model = toy_model('FixMatchSeg', segmentor=segmentor(head))
    assert map_names(model.students[0]) == ('weight',)
    batch = toy_batch()
    for sample in batch['data_samples']:
        sample.set_data(dict(weight=PixelData(data=torch.zeros(1, 32, 32))))
    losses = losses_of(model, batch)
    assert not any(value for key, value in losses.items() if key.startswith('student0.decode'))
