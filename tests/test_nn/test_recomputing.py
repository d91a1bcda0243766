# Copyright (c) mmseg_ctt contributors.
"""``with_cp`` of mmseg with several passes in a step, on one rank and under DDP."""

import mmseg.models.backbones.resnet as resnet
import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from test_distributed.ranks import on_ranks
from test_methods.family import RECIPES, ready
from toy import prepared, toy_segmentor
from versions import GLOO_BOOL

from mmseg_ctt.nn.member import build_member
from mmseg_ctt.nn.recomputing import WITHIN_BACKWARD

# several passes with a gradient before the backward pass
SEVERAL = (
    'UniMatch',
    'CorrMatch',
    'PrevMatch',
    'SemiVL',
    'ContextAwareConsistency',
    'GuidedMixNet',
    'STPG, memory of the peer',
    'CTT, all teachers',
    'CTT, auxiliary task',
    'S4L, all tasks',
    'VAT by the student',
)


def segmentor(with_cp):
    """A ResNet of two narrow stages at stride 4."""
    backbone = dict(
        type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, with_cp=with_cp,
        num_stages=2, strides=(1, 1), dilations=(1, 1), out_indices=(0, 1),
    )  # fmt: skip
    made = toy_segmentor(backbone=backbone)
    made['decode_head']['in_channels'] = 16
    return made


def step_on_two_ranks(recipe, with_cp):
    """Gradients of a step, averaged over the ranks."""

    def body(rank):
        model = ready(recipe, segmentor=segmentor(with_cp))
        wrapped = MMDistributedDataParallel(model)
        losses = wrapped(**prepared(model), mode='loss')
        model.parse_losses(losses)[0].backward()
        grads = {name: weight.grad for name, weight in model.named_parameters()}
        return {name: grad for name, grad in grads.items() if grad is not None}

    return on_ranks(body)[0]


@GLOO_BOOL
@pytest.mark.parametrize('name', SEVERAL)
def test_gradients_are_those_of_kept_activations(name):
    kept, recomputed = (step_on_two_ranks(RECIPES[name], with_cp) for with_cp in (False, True))
    assert kept.keys() == recomputed.keys()
    for weight, gradient in kept.items():
        torch.testing.assert_close(recomputed[weight], gradient, rtol=1e-4, atol=1e-6, msg=weight)


def test_files_of_the_layers_get_it_once():
    build_member(segmentor(True))
    assert resnet.cp is WITHIN_BACKWARD
    build_member(segmentor(True))
    assert resnet.cp is WITHIN_BACKWARD and resnet.cp.checkpoint_sequential
