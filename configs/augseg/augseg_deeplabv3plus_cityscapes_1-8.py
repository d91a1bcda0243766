# AugSeg on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: no threshold, CutMix that injects labels below the other box, teacher in eval
# mode that averages weights and batch-norm statistics with 0.996, images resized by 0.5 to 2.0, SGD
# 0.01, weight decay 5e-4. Our own: plain cross-entropy on labels (the code mines hard pixels), crops of
# 256x512 of halved images and 80,000 iterations as for the other methods here (the code: 800x800 of
# whole images, 240 epochs), and what the VOC config lists.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. Published, at 800x800: 77.82 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/augseg/augseg_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AugSeg', teacher_mode='eval', mode='released', consistency=dict(confidence_threshold=0.0)
)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.01, weight_decay=5e-4))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
