# DeepLabV3+ with the first three stages of a ResNet-18 of 32 base channels (output stride 16), for
# training from scratch on a CPU: nothing is downloaded. 12 classes, images of 128x192 (streets).
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
            size=(128, 192),
        ),
        backbone=dict(
            type='ResNetV1c',
            depth=18,
            base_channels=32,
            stem_channels=32,
            num_stages=3,
            out_indices=(0, 1, 2),
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch',
            init_cfg=None,  # from scratch
        ),
        decode_head=dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=128,
            in_index=2,
            channels=64,
            dilations=(1, 3, 6),
            c1_in_channels=32,
            c1_channels=24,
            dropout_ratio=0.1,
            num_classes=12,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
)
del norm_cfg
