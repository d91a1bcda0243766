# DeepLabV3+ with MobileNetV2 at output stride 16 and a decoder of 128 channels, small enough for a
# CPU; 11 classes and crops of 192x256 (CamVid), where a config or `sizes` says nothing else.
#
# ImageNet weights: the file of that name in $PRETRAINED_ROOT (default data/pretrained) where there is
# one, else mmpretrain's model zoo (mmseg_ctt/nn/pretrained.py).
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    channels_last=True,  # faster on a CPU
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(192, 256),
        ),
        backbone=dict(
            type='MobileNetV2',
            widen_factor=1.0,
            strides=(1, 2, 2, 2, 1, 1, 1),
            dilations=(1, 1, 1, 1, 1, 2, 2),
            out_indices=(1, 2, 4, 6),
            norm_cfg=norm_cfg,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:mobilenet_v2_1.0_imagenet_mmseg.pth|mmcls://mobilenet_v2',
            ),
        ),
        decode_head=dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=320,
            in_index=3,
            channels=128,
            dilations=(1, 6, 12, 18),
            c1_in_channels=24,
            c1_channels=32,
            dropout_ratio=0.1,
            num_classes=11,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
)
del norm_cfg
