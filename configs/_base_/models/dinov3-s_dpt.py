# DINOv3 ViT-S/16 of timm with the light DPT decoder of UniMatch V2's released code: layers 3, 6, 9 and
# 12, each with the last layer normalisation; 21 classes and crops of 512x512 (VOC), where a config or
# `sizes` says nothing else. Crops are multiples of 16 pixels; validation images are padded to one, and
# the padding is cut off the prediction (the released code resizes the images to one).
#
# Weights: dinov3_vits16_pretrain_lvd1689m-08c60483.pth in $PRETRAINED_ROOT (default data/pretrained), or a
# file of another naming (docs/guide/foundation_models.md). Its publisher asks to accept a licence, so
# that nothing is downloaded: without the file the start is random, and a warning says so.
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
            test_cfg=dict(size_divisor=16),
        ),
        backbone=dict(
            type='FoundationBackbone',
            model_name='vit_small_patch16_dinov3',
            out_indices=(2, 5, 8, 11),
            final_norm=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:dinov3_vits16_pretrain_lvd1689m-08c60483.pth|random',
            ),
        ),
        decode_head=dict(
            type='LightDPTHead',
            in_channels=[384, 384, 384, 384],
            channels=64,
            hidden_channels=[48, 96, 192, 384],
            num_classes=21,
            align_corners=True,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
