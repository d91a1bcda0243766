# Swin-T of timm with UPerNet: a hierarchical network whose four stages have strides 4, 8, 16 and 32.
# Another one of timm needs two changes: model_name, and in_channels (the log of a failed start names
# them). 21 classes and crops of 512x512, where a config or `sizes` says nothing else.
#
# Weights: swin_tiny_patch4_window7_224.safetensors of timm in $PRETRAINED_ROOT (default
# data/pretrained); without it the start is random, and a warning says so.
model = dict(
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(512, 512),
            test_cfg=dict(size_divisor=32),
        ),
        backbone=dict(
            type='FoundationBackbone',
            model_name='swin_tiny_patch4_window7_224',
            out_indices=(0, 1, 2, 3),
            strict_img_size=False,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:swin_tiny_patch4_window7_224.safetensors|random',
            ),
        ),
        decode_head=dict(
            type='UPerHead',
            in_channels=[96, 192, 384, 768],
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=256,
            dropout_ratio=0.1,
            num_classes=21,
            norm_cfg=dict(type='SyncBN', requires_grad=True),
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
