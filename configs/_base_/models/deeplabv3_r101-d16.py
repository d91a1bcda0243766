# DeepLabV3 with ResNet-101 at output stride 16: ASPP of 256 channels with leaky ReLU, as WILSON and other
# work on class-incremental segmentation; 21 classes and crops of 512x512 (VOC), where a config or
# `sizes` says nothing else. They have in-place activated batch normalisation with leaky ReLU in the
# backbone, too; here it has batch normalisation and ReLU, as its ImageNet weights of mmseg.
norm_cfg = dict(type='SyncBN', requires_grad=True)
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
        ),
        backbone=dict(
            type='ResNetV1c',
            depth=101,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            dilations=(1, 1, 1, 2),
            strides=(1, 2, 2, 1),
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch',
            contract_dilation=True,
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet101_v1c'),
        ),
        decode_head=dict(
            type='ASPPHead',
            in_channels=2048,
            in_index=3,
            channels=256,
            dilations=(1, 6, 12, 18),
            dropout_ratio=0,
            num_classes=21,
            norm_cfg=norm_cfg,
            act_cfg=dict(type='LeakyReLU', negative_slope=0.01),
            align_corners=False,
            loss_decode=dict(type='PixelSigmoidLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
del norm_cfg
