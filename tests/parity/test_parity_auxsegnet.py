# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of AuxSegNet gives on stored inputs (``oracles/auxsegnet``)."""

import pytest
import torch
from released_code import close, every_case
from torch import nn

from mmseg_ctt import functional
from mmseg_ctt.methods.auxsegnet import AuxSegHead

LAYERS = dict(theta='query', phi='key', g='value', W='project', conv3='last.conv')
TASKS = dict(seg='segmentation', sal='saliency')


class Part(nn.Module):
    """Some channels of a map, in the place of a trunk."""

    def __init__(self, channels: slice) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return x[:, self.channels]


def head_of(data):
    """The head with the stored weights, on the stored features of both trunks side by side."""
    width, classes = data.seg_feats.shape[1], data.seg_conv4_weight.shape[0]
    head = AuxSegHead(in_channels=2 * width, channels=width, num_classes=classes).to(data.dtype)
    for short, name in TASKS.items():
        for layer, own in LAYERS.items():
            module = head.get_submodule(f'{name}.{own}')
            module.weight.data.copy_(data[f'{short}_{layer}_weight'])
            module.bias.data.copy_(data[f'{short}_{layer}_bias'])
    head.conv_seg.weight.data.copy_(data.seg_conv4_weight)
    head.conv_sal.weight.data.copy_(data.sal_conv4_weight)
    first, _, second = head.cross_task.gates
    first.weight.data.copy_(data.cross_conv1_weight)
    second.weight.data.copy_(data.cross_conv2_weight)
    second.bias.data.copy_(data.cross_conv2_bias)
    head.segmentation.trunk = Part(slice(None, width))
    head.saliency.trunk = Part(slice(width, None))
    return head


@every_case('auxsegnet', 'affinity_refinement')
@pytest.mark.parametrize('double', [False, True])
def test_masks_losses_and_gradients(case, double, record_property):
    data = case.load(double)
    head = head_of(data)
    features = [data.seg_feats.requires_grad_(), data.sal_feats.requires_grad_()]
    x = torch.cat(features, dim=1)
    maps = head.task_maps([x])
    got = dict(
        init_seg=maps.seg_init,
        refined_seg=maps.seg_ref,
        init_sal=maps.sal_init,
        refined_sal=maps.sal_ref,
        cross_aff_row_sum=head.cross_task(*head._affinities(x)[2]).sum(dim=2),
    )
    assert torch.equal(head([x]), maps.seg_ref)
    saliency = data.sal_labels.unsqueeze(1)
    losses = dict(
        loss_cls=torch.nn.functional.multilabel_soft_margin_loss(data.x_cls, data.label),
        loss_init_sal=functional.saliency_loss(maps.sal_init, saliency),
        loss_refined_sal=functional.saliency_loss(maps.sal_ref, saliency),
        loss_init_seg=functional.pseudo_label_loss(maps.seg_init, data.seg_labels),
        loss_refined_seg=functional.pseudo_label_loss(maps.seg_ref, data.seg_labels),
    )
    total = losses['loss'] = sum(losses.values())
    total.backward()
    for name, value in losses.items():
        record_property(name, close(value, data[name], data.tolerance(1e-5)))
    got.update(zip(('grad_seg_feats', 'grad_sal_feats'), (each.grad for each in features)))
    for name, value in got.items():
        record_property(name, close(value, data[name], data.tolerance(2e-5)))
