# Swin-T of timm with UPerNet: a hierarchical network whose four stages have strides 4, 8, 16 and 32, so
# that it needs no neck. Another one of timm needs two changes: model_name, and the head's in_channels.
# 21 classes and crops of 512x512, where a config or `sizes` says nothing else.
#
# Weights: swin_tiny_patch4_window7_224.safetensors of timm in $PRETRAINED_ROOT (default
# data/pretrained); without it the start is random, and a warning says so.
_base_ = ['./dinov2-s_upernet.py']
model = dict(
    segmentor=dict(
        data_preprocessor=dict(size=(512, 512), test_cfg=dict(size_divisor=32)),
        backbone=dict(
            _delete_=True,
            type='FoundationBackbone',
            model_name='swin_tiny_patch4_window7_224',
            out_indices=(0, 1, 2, 3),
            strict_img_size=False,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='pretrained:swin_tiny_patch4_window7_224.safetensors|random',
            ),
        ),
        neck=None,
        decode_head=dict(in_channels=[96, 192, 384, 768]),
    )
)
