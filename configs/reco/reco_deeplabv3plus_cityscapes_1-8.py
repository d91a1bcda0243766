# ReCo with ClassMix on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: what the VOC config lists, images of half the size, batches of 2 + 2, 40,000
# iterations. Our own: crops of 256x512 of images resized by 0.5 to 2.0, as for the other methods here (the
# code: 512x512, not resized), a representation pooled from stride 4 to 8, output stride 8 (the code: 16),
# and the split (the code draws lists of 20, 50 and 150 images that hold all classes).
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further.
# Published (paper, 1/8 of the labels, DeepLabV3+ R101): 66.44 mIoU. Ours, time, memory: not measured.
# python tools/train.py configs/reco/reco_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ReCo', joint_forward=False, contrast=dict(pool=2))
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.0025, weight_decay=5e-4, nesterov=True))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
