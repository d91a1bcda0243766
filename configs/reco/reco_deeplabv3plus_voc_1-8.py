# ReCo with ClassMix on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: thresholds 0.97 and 0.7, 256 queries and 512 negative keys of 256 channels a
# class, temperature 0.5, weights of 1, ClassMix, colours and blur, teacher in training mode with its own
# batch-norm statistics, labelled and mixed images in passes of their own, SGD 0.0025 for all layers,
# weight decay 5e-4, Nesterov momentum, crops of 321, batches of 10 + 10, 40,000 iterations. Our own: the
# representation is pooled from stride 4 to 8, images at 0.5 to 1.6 of their size (the code: to 1.5),
# output stride 8 (the code: 16), mixed images are neither rescaled nor flipped again, and the split (the
# code draws lists of 60, 200 and 600 images that hold all classes).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published for 1,323 labels: none that we could read.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/reco/reco_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ReCo',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    contrast=dict(pool=2),
)
optim_wrapper = dict(optimizer=dict(lr=0.0025, weight_decay=5e-4, nesterov=True))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
