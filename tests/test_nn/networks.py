# Copyright (c) mmseg_ctt contributors.
"""Small segmentors with every decode head of mmseg, which the methods are tried with."""

from typing import Dict

from architectures import BN, PYRAMID, TRANSFORMER
from mmengine.structures import PixelData
from toy import toy_batch

CROSS_ENTROPY = dict(type='CrossEntropyLoss', avg_non_ignore=True)
COMMON = dict(num_classes=4, align_corners=False, loss_decode=CROSS_ENTROPY, norm_cfg=BN)
DEEPEST = dict(COMMON, in_channels=32, in_index=3, channels=8)
SEVERAL = dict(COMMON, in_channels=[8, 12, 16, 32], in_index=[0, 1, 2, 3], channels=8)
VIT = dict(
    type='VisionTransformer',
    img_size=(32, 32),
    patch_size=8,
    embed_dims=8,
    num_layers=4,
    num_heads=2,
    mlp_ratio=2,
    out_indices=(0, 1, 2, 3),
    with_cls_token=True,
)
TOKENS = dict(COMMON, in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=8)
LOSSES = dict(
    ddr=[CROSS_ENTROPY, dict(CROSS_ENTROPY, loss_weight=0.4)],
    pid=[
        CROSS_ENTROPY,
        dict(type='OhemCrossEntropy', thres=0.9, min_kept=100),
        dict(type='BoundaryLoss'),
        dict(type='OhemCrossEntropy', thres=0.9, min_kept=100),
    ],
)


def segmentor(decode_head, backbone=PYRAMID, auxiliary_head=None, **changes) -> dict:
    """Config of an encoder-decoder, a cascade if there are several heads."""
    cascade = dict(type='CascadeEncoderDecoder', num_stages=2)
    return dict(
        cascade if isinstance(decode_head, list) else dict(type='EncoderDecoder'),
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[110.0] * 3, std=[50.0] * 3),
        backbone=dict(backbone),
        decode_head=decode_head,
        auxiliary_head=auxiliary_head,
        train_cfg=dict(num_points=16, oversample_ratio=3, importance_sample_ratio=0.75),
        test_cfg=dict(mode='whole', subdivision_steps=1, subdivision_num_points=16, scale_factor=2),
        **changes,
    )


def batch_with_edges() -> dict:
    """A toy batch with the edge maps that PIDNet learns."""
    batch = toy_batch()
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            sample.gt_edge_map = PixelData(data=(sample.gt_sem_seg.data == 1).long())
    return batch


def head(kind: str, base: dict = DEEPEST, **settings) -> dict:
    """Config of a head on the toy pyramid."""
    return dict(base, type=kind, **settings)


FCN = head('FCNHead', num_convs=1, concat_input=False)
KERNELS = [
    dict(
        type='KernelUpdateHead',
        num_classes=4,
        num_ffn_fcs=2,
        num_heads=2,
        num_mask_fcs=1,
        feedforward_channels=8,
        in_channels=8,
        out_channels=8,
        dropout=0.0,
        conv_kernel_size=1,
        ffn_act_cfg=dict(type='ReLU', inplace=True),
        with_ffn=True,
        feat_transform_cfg=dict(conv_cfg=dict(type='Conv2d'), act_cfg=None),
        kernel_updator_cfg=dict(
            type='KernelUpdator',
            in_channels=8,
            feat_channels=8,
            out_channels=8,
            act_cfg=dict(type='ReLU', inplace=True),
            norm_cfg=dict(type='LN'),
        ),
    )
]
NETWORKS: Dict[str, dict] = {
    'ANNHead': segmentor(
        head('ANNHead', dict(DEEPEST, in_channels=[16, 32], in_index=[2, 3]), project_channels=4)
    ),
    'APCHead': segmentor(head('APCHead', pool_scales=(1, 2))),
    'ASPPHead': segmentor(head('ASPPHead', dilations=(1, 2))),
    'CCHead': segmentor(head('CCHead')),
    'DAHead': segmentor(head('DAHead', pam_channels=4)),
    'DDRHead': segmentor(
        head('DDRHead', dict(COMMON, in_channels=16, channels=8, loss_decode=LOSSES['ddr'])),
        dict(type='DDRNet', channels=4, ppm_channels=8, norm_cfg=BN),
    ),
    'DMHead': segmentor(head('DMHead', filter_sizes=(1, 3))),
    'DNLHead': segmentor(head('DNLHead')),
    'DPTHead': segmentor(
        head(
            'DPTHead',
            dict(TOKENS, input_transform='multiple_select'),
            embed_dims=8,
            post_process_channels=[4, 4, 8, 8],
        ),
        dict(VIT, output_cls_token=True),
    ),
    'DepthwiseSeparableASPPHead': segmentor(
        head('DepthwiseSeparableASPPHead', dilations=(1, 2), c1_in_channels=8, c1_channels=4)
    ),
    'DepthwiseSeparableFCNHead': segmentor(head('DepthwiseSeparableFCNHead')),
    'EMAHead': segmentor(
        head('EMAHead', ema_channels=8, num_bases=4, num_stages=2, concat_input=False)
    ),
    'EncHead': segmentor(
        head(
            'EncHead',
            SEVERAL,
            num_codes=4,
            loss_se_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
        )
    ),
    'FCNHead': segmentor(FCN),
    'FCNHead, BiSeNetV2': segmentor(
        head('FCNHead', dict(DEEPEST, in_channels=128, in_index=0)), dict(type='BiSeNetV2')
    ),
    'FPNHead': segmentor(head('FPNHead', SEVERAL, feature_strides=[2, 4, 8, 16])),
    'GCHead': segmentor(head('GCHead')),
    'ISAHead': segmentor(head('ISAHead', isa_channels=4, down_factor=(1, 1))),
    'IterativeDecodeHead': segmentor(
        dict(
            type='IterativeDecodeHead',
            num_stages=1,
            kernel_update_head=KERNELS,
            kernel_generate_head=dict(FCN),
        )
    ),
    'LightHamHead': segmentor(
        head(
            'LightHamHead',
            dict(SEVERAL, in_channels=[12, 16, 32], in_index=[1, 2, 3]),
            ham_channels=8,
            ham_kwargs=dict(MD_R=4),
            norm_cfg=dict(type='GN', num_groups=2),
        )
    ),
    'Mask2FormerHead': segmentor(dict(type='Mask2FormerHead', num_classes=4)),
    'MaskFormerHead': segmentor(dict(type='MaskFormerHead', num_classes=4)),
    'NLHead': segmentor(head('NLHead')),
    'OCRHead': segmentor([FCN, head('OCRHead', ocr_channels=4)]),
    'PIDHead': segmentor(
        head('PIDHead', dict(COMMON, in_channels=16, channels=8, loss_decode=LOSSES['pid'])),
        dict(type='PIDNet', channels=4, ppm_channels=8, num_stem_blocks=1, num_branch_blocks=1),
    ),
    'PSAHead': segmentor(head('PSAHead', mask_size=(2, 2))),
    'PSPHead': segmentor(head('PSPHead', pool_scales=(1, 2))),
    'PSPHead, auxiliary FCNHead': segmentor(
        head('PSPHead', pool_scales=(1, 2)), auxiliary_head=dict(FCN, in_channels=16, in_index=2)
    ),
    'PointHead': segmentor(
        [
            head('FPNHead', SEVERAL, feature_strides=[2, 4, 8, 16]),
            head(
                'PointHead',
                dict(COMMON, in_channels=[8], in_index=[0], channels=8, norm_cfg=None),
                num_fcs=1,
            ),
        ]
    ),
    'SETRMLAHead': segmentor(
        head('SETRMLAHead', TOKENS, mla_channels=2, up_scale=2), dict(VIT, with_cls_token=False)
    ),
    'SETRUPHead': segmentor(
        head('SETRUPHead', dict(DEEPEST, in_channels=8), num_convs=1, up_scale=2, kernel_size=3),
        dict(VIT),
    ),
    'STDCHead, auxiliary': segmentor(
        FCN,
        auxiliary_head=head(
            'STDCHead',
            dict(COMMON, in_channels=8, in_index=0, channels=4),
            num_classes=2,
            num_convs=1,
            concat_input=False,
            boundary_threshold=0.1,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
                dict(type='DiceLoss', loss_name='loss_dice'),
            ],
        ),
    ),
    'SegformerHead': segmentor(
        head('SegformerHead', SEVERAL, in_channels=[8, 8, 16, 32]), TRANSFORMER
    ),
    'SegmenterMaskTransformerHead': segmentor(
        head(
            'SegmenterMaskTransformerHead',
            dict(COMMON, in_channels=8, channels=8),
            num_layers=1,
            num_heads=2,
            embed_dims=8,
            norm_cfg=dict(type='LN'),
        ),
        dict(VIT, out_indices=-1, final_norm=True),
    ),
    'UPerHead': segmentor(head('UPerHead', SEVERAL, pool_scales=(1, 2))),
}
