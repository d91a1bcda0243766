# Locally adaptive learning loss on Cityscapes with 372 labels, DeepLabV2 R101 and mean colour of the CTT
# release: the supervised baseline with another loss, see the CamVid config.
# Published: none. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/lal/lal_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(mean=[73.15835921, 82.90891754, 72.39239876]),
        decode_head=dict(loss_decode=dict(type='LocallyAdaptiveLoss')),
    )
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
