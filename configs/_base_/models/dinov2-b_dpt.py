# DINOv2 ViT-B/14 of timm with the light DPT decoder of UniMatch V2's released code: layers 3, 6, 9 and
# 12, each with the last layer normalisation; 21 classes and crops of 518x518 (VOC), where a config or
# `sizes` says nothing else. Crops are multiples of 14 pixels; validation images are padded to one, and
# the padding is cut off the prediction (the released code resizes the images to one).
#
# Weights: dinov2_vitb14_pretrain.pth in $PRETRAINED_ROOT (default data/pretrained), or a file of another
# naming (docs/guide/foundation_models.md). Without it, it is downloaded; without network the start is
# random, and a warning says so.
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
            size=(518, 518),
            test_cfg=dict(size_divisor=14),
        ),
        backbone=dict(
            type='FoundationBackbone',
            model_name='vit_base_patch14_dinov2',
            out_indices=(2, 5, 8, 11),
            final_norm=True,
            dynamic_img_size=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:dinov2_vitb14_pretrain.pth|'
                'https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth|random',
            ),
        ),
        decode_head=dict(
            type='LightDPTHead',
            in_channels=[768, 768, 768, 768],
            channels=128,
            hidden_channels=[96, 192, 384, 768],
            num_classes=21,
            align_corners=True,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
