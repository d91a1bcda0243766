# AEL on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code for VOC: pixels below a confidence of 0.7 ignored, one class pasted, areas
# of 0.03, SGD 0.01 with ten times that in the decoder, weight decay 1e-4, the teacher in training
# mode with its own batch-norm statistics, no colours in the strong view. Our own: crops of 321
# instead of 513 and 80,000 iterations as for the other methods here, plain cross-entropy and no
# auxiliary head, and what README.md of this folder lists.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two labelled and two unlabelled images on each. Published for 1/8 (as quoted by U2PL, at
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
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=True,
    copy_paste=dict(number=1),
    cut_mix=dict(object_area=0.03, class_area=0.03),
    strong_augmentation=[],
)
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
