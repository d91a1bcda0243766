# DINOv2 ViT-S/14 of timm with a linear classifier of its last layer: batch normalisation and a 1x1
# convolution, as the linear evaluation of DINOv2; 21 classes and crops of 518x518 (VOC), where a config
# or `sizes` says nothing else. Crops are multiples of 14 pixels; validation images are padded to one,
# and the padding is cut off the prediction.
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
            out_indices=(11,),
            final_norm=True,
            dynamic_img_size=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:dinov2_vits14_pretrain.pth|'
                'https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth|random',
            ),
        ),
        decode_head=dict(
            type='LinearHead',
            in_channels=384,
            num_classes=21,
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
