# mmseg's DeepLabV3+ with ResNet-101 (deep stem, output stride 8), a 256-channel decoder as in the
# CTT release, and no auxiliary head.
_base_ = ['mmseg::_base_/models/deeplabv3plus_r50-d8.py']
model = dict(
    pretrained='open-mmlab://resnet101_v1c',
    backbone=dict(depth=101),
    decode_head=dict(
        channels=256,
        dilations=(1, 6, 12, 18),
        loss_decode=dict(_delete_=True, type='PixelCrossEntropyLoss'),
    ),
    auxiliary_head=None,
)
