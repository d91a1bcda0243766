# DINOv2 ViT-S/14 of timm with UPerNet: layers 3, 6, 9 and 12 become a pyramid of strides 3.5, 7, 14 and
# 28 by mmseg's neck. Layers are not normalised, so that a member can be exported to stock mmseg. 21
# classes and crops of 518x518 (VOC), where a config or `sizes` says nothing else. Crops are multiples of
# 14 pixels; validation images are padded to one, and the padding is cut off the prediction.
#
# Weights: dinov2_vits14_pretrain.pth in $PRETRAINED_ROOT (default data/pretrained), or a file of another
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
            model_name='vit_small_patch14_dinov2',
            out_indices=(2, 5, 8, 11),
            dynamic_img_size=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:dinov2_vits14_pretrain.pth|'
                'https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth|random',
            ),
        ),
        neck=dict(
            type='MultiLevelNeck',
            in_channels=[384, 384, 384, 384],
            out_channels=256,
            scales=[4, 2, 1, 0.5],
        ),
        decode_head=dict(
            type='UPerHead',
            in_channels=[256, 256, 256, 256],
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
