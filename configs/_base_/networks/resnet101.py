# ResNet-101 with DeepLabV3+, and SGD as the UniMatch release trains it: 0.001, ten times that in the
# decoder, weight decay 1e-4.
_base_ = ['../models/deeplabv3plus_r101-d8.py']
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
