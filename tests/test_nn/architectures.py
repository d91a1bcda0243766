# Copyright (c) mmseg_ctt contributors.
"""Small segmentors with the heads of several papers."""

import torch
from mmseg.registry import MODELS
from torch import nn

from mmseg_ctt.nn.member import build_member

BN = dict(type='BN')
COMMON = dict(num_classes=5, align_corners=False, loss_decode=dict(type='CrossEntropyLoss'))


@MODELS.register_module()
class ToyPyramid(nn.Module):
    """Four feature maps of 8, 12, 16 and 32 channels at stride 2 to 16."""

    def __init__(self):
        super().__init__()
        widths = (3, 8, 12, 16, 32)
        self.stages = nn.ModuleList(
            [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:])]
        )

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x).relu()
            maps.append(x)
        return maps


PYRAMID = dict(type='ToyPyramid')
TRANSFORMER = dict(
    type='MixVisionTransformer',
    embed_dims=8,
    num_stages=4,
    num_layers=[1] * 4,
    num_heads=[1, 1, 2, 4],
    sr_ratios=[4, 2, 1, 1],
    mlp_ratio=2,
    drop_path_rate=0.1,
)
# name: backbone, head, width and stride of the embedding
ARCHITECTURES = {
    'deeplabv3plus': (
        PYRAMID,
        dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=32,
            in_index=3,
            channels=10,
            dilations=(1, 2),
            c1_in_channels=8,
            c1_channels=6,
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        10,
        2,
    ),
    'pspnet': (
        PYRAMID,
        dict(
            type='PSPHead',
            in_channels=32,
            in_index=3,
            channels=6,
            pool_scales=(1, 2),
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        6,
        16,
    ),
    'upernet': (
        PYRAMID,
        dict(
            type='UPerHead',
            in_channels=[8, 12, 16, 32],
            in_index=[0, 1, 2, 3],
            channels=9,
            pool_scales=(1, 2),
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        9,
        2,
    ),
    'segformer': (
        TRANSFORMER,
        dict(
            type='SegformerHead',
            in_channels=[8, 8, 16, 32],
            in_index=[0, 1, 2, 3],
            channels=7,
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        7,
        4,
    ),
    'deeplabv2_aspp': (
        PYRAMID,
        dict(
            type='DeepLabV2ASPPHead',
            in_channels=32,
            in_index=3,
            channels=32,
            dilations=(1, 2),
            dropout_ratio=0.1,
        ),
        32,
        16,
    ),
    'deeplabv2': (
        PYRAMID,
        dict(
            type='DeepLabV2Head',
            in_channels=32,
            in_index=3,
            dilations=(1, 2),
            branches=2,
            embedding_dim=11,
        ),
        11,
        16,
    ),
}


def build(name, **changes):
    torch.manual_seed(0)
    backbone, head, *_ = ARCHITECTURES[name]
    return build_member(
        dict(type='EncoderDecoder', backbone=backbone, decode_head={**COMMON, **head}, **changes)
    )
