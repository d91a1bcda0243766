# Locally adaptive learning loss on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV2
# R101 of the CTT release: the supervised baseline with another loss, see the CamVid config.
#
# The paper trains all of VOC, DeepLabV2, batches of 2 crops of 321, as summaries say. Our own: batches of
# 10, the schedule of the baseline. Published: not verified.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/lal/lal_deeplabv2_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(size=(321, 321)),
        decode_head=dict(num_classes=21, loss_decode=dict(type='LocallyAdaptiveLoss')),
    )
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
