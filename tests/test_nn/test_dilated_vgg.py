# Copyright (c) mmseg_ctt contributors.
"""VGG of output stride 8: layout, and starting weights of torchvision's names."""

import torch
from mmcv.cnn import VGG
from torch import nn

from mmseg_ctt.nn import DilatedVGG


def test_layout_of_vgg16():
    layers = list(DilatedVGG().features)
    convs = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [conv.dilation[0] for conv in convs] == [1] * 10 + [2] * 3
    pools = [layer for layer in layers if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(2, 2)] * 3 + [(3, 1)]
    assert isinstance(layers[-1], nn.ReLU)


def test_output_stride_is_8():
    (found,) = DilatedVGG(depth=11)(torch.zeros(1, 3, 64, 48))
    assert found.shape == (1, 512, 8, 6)


def test_weights_of_torchvision_load_by_name(tmp_path):
    torch.manual_seed(0)
    given = VGG(11, num_classes=-1).state_dict()
    state = {**given, 'classifier.0.weight': torch.zeros(2)}
    torch.save(state, tmp_path / 'vgg11.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vgg11.pth'))
    network = DilatedVGG(depth=11, init_cfg=init_cfg)
    network.init_weights()
    assert network.state_dict().keys() == given.keys()
    assert all(torch.equal(value, given[key]) for key, value in network.state_dict().items())
