# Copyright (c) mmseg_ctt contributors.
"""A segmentor around a vision transformer of two blocks, and ways to tune its backbone."""

from typing import Any

from toy import NUM_CLASSES, toy_segmentor

LORA = dict(rank=2, alpha=8, targets=['qkv', 'proj'])
TUNINGS = dict(full={}, frozen=dict(frozen=True), lora=dict(lora=LORA))


def vit_segmentor(**backbone: Any) -> dict:
    """Config of a plain segmentor with an embedding of 8 channels at stride 8.

    Args:
        backbone: Settings of the backbone besides its size.
    """
    network = dict(
        type='FoundationBackbone',
        model_name='vit_tiny_patch16_224',
        img_size=32,
        patch_size=8,
        depth=2,
        embed_dim=16,
        num_heads=2,
        out_indices=(0, 1),
        final_norm=True,
        dynamic_img_size=True,
        **backbone,
    )
    head = dict(
        type='FCNHead',
        in_channels=16,
        in_index=1,
        channels=8,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    segmentor = toy_segmentor(backbone=network, decode_head=head)
    segmentor['data_preprocessor']['test_cfg'] = dict(size_divisor=8)
    return segmentor


def foundation_segmentor(head: str, number: int = 4, **backbone: Any) -> dict:
    """The same with a head for foundation models.

    Args:
        head (str): ``LightDPTHead`` or ``LinearHead``.
        number (int): Blocks, all of which are read. Defaults to 4.
        backbone: Settings of the backbone besides its size.
    """
    segmentor = vit_segmentor()
    segmentor['backbone'].update(depth=number, out_indices=tuple(range(number)), **backbone)
    common = {
        key: value
        for key, value in segmentor['decode_head'].items()
        if key in ('num_classes', 'align_corners', 'loss_decode')
    }
    settings = dict(in_channels=[16] * number, **common, type=head)
    if head == 'LightDPTHead':
        settings.update(channels=8, hidden_channels=[4, 6, 8, 10])
    else:
        settings.update(in_index=list(range(number)), norm_cfg=dict(type='BN'))
    segmentor['decode_head'] = settings
    return segmentor
