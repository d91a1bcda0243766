# Dual Teacher on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code, which is for ADE20K with SegFormer: teachers' average of 0.99, strong views in
# turns (CutMix, ClassMix), threshold 0.95, weight 0.2 of the sub-model. Its settings for VOC are not in
# the code; optimiser, learning rates and weight decay are those of the other methods here. Our own:
# turns of 926 iterations (an epoch of the unlabelled images), residual branches are dropped in the place
# of SegFormer's drop path, teachers go on from where they rested, and 80,000 iterations.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/dual_teacher/dual_teacher_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='DualTeacher',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    period=926,
)
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.99))
