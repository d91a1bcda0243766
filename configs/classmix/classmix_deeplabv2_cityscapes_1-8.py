# ClassMix on Cityscapes with 372 labels, DeepLabV2 R101.
#
# As in the released code: threshold 0.968, ClassMix, colours and blur, teacher in training mode with
# its own batch-norm statistics, labelled and mixed images in passes of their own, SGD 2.5e-4 and ten
# times that in the decoder, weight decay 5e-4, whole images of 512x1024 less the mean colour of
# Cityscapes, batches of 2 + 2, 40,000 iterations. Our own: the decoder is that of the CTT release, as for the other methods here (ClassMix:
# two of the four dilated classifiers, type='DeepLabV2Head' with branches=2), weights from ImageNet
# (the code: from COCO), half of the images flipped. `sizes.crop_size=(256,512)` are the crops of the
# other methods.
#
# 2 labelled and 2 unlabelled images on each GPU: images are mixed within a GPU, so that batch_size is
# not to be divided further. Published (CTT, table 1): 61.35 mIoU, at 512x1024.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/classmix/classmix_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ClassMix',
    segmentor=dict(data_preprocessor=dict(mean=[73.15835921, 82.90891754, 72.39239876])),
    joint_forward=False,
)
sizes = dict(crop_size=(512, 1024))  # the whole image
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
