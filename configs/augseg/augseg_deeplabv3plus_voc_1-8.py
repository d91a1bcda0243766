# AugSeg on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: 1 to 3 random intensities of eleven, CutMix that injects labels below the
# other box, threshold 0.95, loss over all pixels, teacher in eval mode that averages weights and
# batch-norm statistics with 0.999, SGD 0.001 and ten times that in the decoder, weight decay 1e-4.
# Our own: the areas of the boxes are drawn for each image (the code: once a step), output stride 8
# (16), crops of 321 (513), images at 0.5 to 1.6 of their size (to 2.0), batches of 10 + 10 (16 + 16)
# and 80,000 iterations as for the other methods here (80 epochs).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published on 1,323 labels: no
# figure in the README; other partitions in metafile.yaml.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/augseg/augseg_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AugSeg',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    teacher_mode='eval',
    mode='released',
)
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.999))
