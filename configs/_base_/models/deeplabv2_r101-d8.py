# "DeepLabV2" of the CTT release: caffe-style ResNet-101 at output stride 8 with ProDA's decoder
# (ASPP, squeeze-excitation, GroupNorm). Images are BGR in 0-255 minus the mean, not divided by a
# standard deviation. The release's max-pooling rounds up (ceil_mode); mmseg's rounds down. 19 classes
# and crops of 256x512 (Cityscapes), where a config or `sizes` says nothing else.
model = dict(
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[104.00698793, 116.66876762, 122.67891434],
            std=[1.0, 1.0, 1.0],
            bgr_to_rgb=False,
            pad_val=0,
            seg_pad_val=255,
            size=(256, 512),
        ),
        backbone=dict(
            type='ResNet',
            depth=101,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            dilations=(1, 1, 2, 4),
            strides=(1, 2, 1, 1),
            norm_cfg=dict(type='SyncBN', requires_grad=True),
            norm_eval=False,
            style='caffe',
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://detectron2/resnet101_caffe'),
        ),
        decode_head=dict(
            type='DeepLabV2ASPPHead',
            in_channels=2048,
            in_index=3,
            channels=256,
            dropout_ratio=0.1,
            num_classes=19,
            align_corners=True,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
)
