# ClassMix on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV2 R101.
#
# As in the released code: threshold 0.968, ClassMix without colours and blur, teacher in training mode
# with its own batch-norm statistics, labelled and mixed images in passes of their own, SGD 2.5e-4 and
# ten times that in the decoder, weight decay 5e-4, crops of 321, batches of 10 + 10, 40,000
# iterations. Our own: the decoder is that of the CTT release, as for the other methods here (ClassMix:
# two of the four dilated classifiers, type='DeepLabV2Head' with branches=2), weights from ImageNet
# (the code: from COCO), half of the images flipped.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published (quoted by CTT, table 2): 71.00 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/classmix/classmix_deeplabv2_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ClassMix',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    strong_augmentation=[dict(type='ClassMixing')],
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
