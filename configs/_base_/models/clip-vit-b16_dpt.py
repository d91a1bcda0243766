# CLIP ViT-B/16 of timm, the image encoder of OpenAI's CLIP, with the light DPT decoder of UniMatch V2's
# released code: layers 3, 6, 9 and 12; 21 classes and crops of 512x512 (VOC), where a config or `sizes`
# says nothing else. Images have the mean and standard deviation of CLIP; crops are multiples of 16
# pixels; validation images are padded to one, and the padding is cut off the prediction.
#
# Weights: clip_vit_b16.pt in $PRETRAINED_ROOT (default data/pretrained), a checkpoint of CLIP in the
# naming of timm, OpenCLIP or OpenAI (not the TorchScript archive). Without it the start is random, and a
# warning says so.
model = dict(
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[122.771, 116.746, 104.094],
            std=[68.501, 66.632, 70.323],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(512, 512),
            test_cfg=dict(size_divisor=16),
        ),
        backbone=dict(
            type='FoundationBackbone',
            model_name='vit_base_patch16_clip_quickgelu_224',
            out_indices=(2, 5, 8, 11),
            final_norm=False,
            dynamic_img_size=True,
            init_cfg=dict(type='Pretrained', checkpoint='pretrained:clip_vit_b16.pt|random'),
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
