# ResNet-50 with DeepLabV3+; optimiser as in resnet101.py.
_base_ = ['./resnet101.py']
model = dict(
    segmentor=dict(backbone=dict(depth=50, init_cfg=dict(checkpoint='open-mmlab://resnet50_v1c')))
)
