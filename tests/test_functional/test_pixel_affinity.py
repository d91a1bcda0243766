# Copyright (c) mmseg_ctt contributors.
"""Affinities and the saliency loss of AuxSegNet against slow restatements."""

import pytest
import torch
import torch.nn.functional as F
from reference import auxsegnet as reference

from mmseg_ctt import functional
from mmseg_ctt.methods.auxsegnet import AuxSegHead
from mmseg_ctt.methods.auxsegnet.functional import pooled

torch.manual_seed(0)
QUERY, KEY, MAPS = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5), torch.randn(2, 2, 4, 5)


def test_affinity_and_propagation():
    affinity = functional.pixel_affinity(QUERY, KEY)
    for image in range(2):
        expected = reference.affinity(QUERY[image], KEY[image])
        torch.testing.assert_close(affinity[image], expected)
        walked = functional.propagate(affinity, MAPS)[image]
        torch.testing.assert_close(walked, reference.propagated(expected, MAPS[image]))


def test_gates_weigh_each_pair():
    first, second = torch.rand(2, 1, 3, 3)
    scores = torch.randn(1, 2, 3, 3)
    got = functional.gated_affinity(first, second, scores)
    for i in range(3):
        for j in range(3):
            gate = scores[0, :, i, j].softmax(0)
            expected = gate[0] * first[0, i, j] + gate[1] * second[0, i, j]
            torch.testing.assert_close(got[0, i, j], expected)


def test_saliency_loss_leaves_padding_out():
    logits, saliency = torch.randn(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[:, 3:] = False
    got = functional.saliency_loss(logits, saliency, valid)
    assert got.item() == pytest.approx(reference.saliency_loss(logits, saliency, valid), rel=1e-5)
    whole = functional.saliency_loss(logits, saliency)
    everything = reference.saliency_loss(logits, saliency, torch.ones_like(saliency))
    assert whole.item() == pytest.approx(everything, rel=1e-5)
    logits.requires_grad_()
    nothing = functional.saliency_loss(logits, saliency, torch.zeros_like(valid))
    nothing.backward()
    assert nothing == 0 and (logits.grad == 0).all()


def test_saliency_loss_counts_over_ranks():
    logits, saliency = torch.randn(1, 1, 4, 4), torch.rand(1, 1, 8, 8)
    alone = functional.saliency_loss(logits, saliency)
    joint = functional.saliency_loss(logits, saliency, mean_count=lambda count: 2 * count)
    torch.testing.assert_close(joint, alone / 2)


@pytest.mark.parametrize('size', [(1, 1), (41, 41), (7, 90), (1, 500), (64, 65)])
@pytest.mark.parametrize('most', [1, 10, 100, 4096])
def test_pooling_stride_is_the_smallest(size, most):
    def tokens(stride):
        return -(-size[0] // stride) * -(-size[1] // stride)

    stride = functional.pooling_stride(size, most)
    assert tokens(stride) <= most
    assert stride == 1 or tokens(stride - 1) > most


def test_propagation_of_pooled_positions():
    maps = torch.rand(1, 2, 5, 6)
    small = F.avg_pool2d(maps, 2, ceil_mode=True)
    affinity = torch.eye(9).unsqueeze(0)  # nothing moves: pooled and up-sampled
    got = functional.propagate(affinity, maps, stride=2)
    expected = F.interpolate(small, (5, 6), mode='bilinear', align_corners=False)
    torch.testing.assert_close(got, expected)
    assert small[0, 0, 2, 2] == pytest.approx(maps[0, 0, 4, 4:].mean().item())  # the border alone
    assert pooled(maps, 1) is maps


def head(**settings):
    torch.manual_seed(3)
    return AuxSegHead(in_channels=4, channels=6, num_classes=4, dilations=(1, 2, 3), **settings)


def test_a_map_above_the_limit_is_pooled():
    x, sizes = torch.randn(2, 4, 6, 8), []
    model = head(max_tokens=12)
    model.cross_task.register_forward_hook(lambda _, args, out: sizes.append(out.shape))
    assert model([x]).shape == (2, 4, 6, 8) and sizes == [(2, 12, 12)]
    wide = head(max_tokens=48)
    assert torch.equal(wide([x]), head()([x])) and not torch.allclose(wide([x]), model([x]))


def test_refined_maps_are_walked_along_the_cross_task_affinity():
    x = [torch.randn(2, 4, 6, 8)]
    model = head().eval()
    maps = model.class_maps(x)
    torch.testing.assert_close(maps, model.task_maps(x).class_maps)
    refined = model.refined_maps(x)
    normal = maps.relu() / (maps.relu().amax(dim=(2, 3), keepdim=True) + 1e-5)
    affinity = model.cross_task(*model._affinities(x[0])[2])
    torch.testing.assert_close(refined.class_maps, functional.propagate(affinity, normal))
    torch.testing.assert_close(refined.saliency, model.task_maps(x).sal_ref.sigmoid())


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(dilations=(1, 2)), 'decode_head.dilations must be three'),
        (dict(max_tokens=0), 'decode_head.max_tokens must be at least 1'),
        (dict(loss_decode=dict(type='DiceLoss')), 'decode_head.loss_decode would be unused'),
        (
            dict(in_channels=(4, 4), in_index=(0, 1), input_transform='resize_concat'),
            'decode_head.in_index must be one feature map',
        ),
    ],
)
def test_settings_of_the_head(settings, words):
    with pytest.raises(ValueError, match=words):
        AuxSegHead(**{**dict(in_channels=4, channels=6, num_classes=4), **settings})
