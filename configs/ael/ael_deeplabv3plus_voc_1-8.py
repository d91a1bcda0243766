# AEL on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code for VOC: pixels below a confidence of 0.7 ignored, one class pasted, areas
# of 0.03, ASPP dilations of 12, 24 and 36 and a last stage of 4, 8 and 16, student and teacher with
# passes of their own for labelled and unlabelled images, the teacher in training mode with its own
# batch-norm statistics, no colours in the strong view. The learning rate is the release's in effect:
# it sets 0.01, ten times that in the decoder, and weight decay 1e-4, and divides each loss by its 8
# GPUs before DDP's mean does so again; that is an eighth of the rate with eight times the decay.
# Our own: crops of 321 instead of 513, images at 0.5 to 1.6 of their size (release: to 2.0) and 80,000
# iterations as for the other methods here, plain cross-entropy and no auxiliary head, and what
# README.md of this folder lists.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU (release: 2 and 1 on each of 8); with n GPUs
# divide batch_size by n, and leave two labelled and two unlabelled images on each. Published for 1/8 (as quoted by U2PL, at
# 513x513): 77.57 mIoU. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/ael/ael_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AEL',
    segmentor=dict(
        backbone=dict(multi_grid=(4, 8, 16)),
        decode_head=dict(num_classes=21, dilations=(1, 12, 24, 36)),
        data_preprocessor=dict(size=(321, 321)),
    ),
    joint_forward=False,
    copy_paste=dict(number=1),
    cut_mix=dict(object_area=0.03, class_area=0.03),
    consistency=dict(confidence_threshold=0.7),
    strong_augmentation=[],
)
optim_wrapper = dict(
    optimizer=dict(lr=0.00125, weight_decay=8e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
