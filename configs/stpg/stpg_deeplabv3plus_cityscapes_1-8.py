# STPG on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: loss weights, temperatures, queues of 256, learning rate 0.01, weight
# decay 1e-4 without norms and biases, teachers in training mode with their own batch-norm
# statistics, labelled and unlabelled images in passes of their own, images resized by 0.5 to 2.0
# (release: six steps of it), contrast after 11 passes over the unlabelled images (`epoch > 10`,
# epochs counted from 0). Our own: a memory that fills from the start (release: after 6 passes), a
# trained projection with the memory in its space, anchors matched every 10 iterations, one box in
# CutMix, output stride 8 (release: 16, the last stage dilated by 2, 4 and 8), plain cross-entropy
# (the release mines hard pixels and weights classes), and crops of 256x512 of halved images and
# 80,000 iterations, as for the other methods here (the release: 800x800 of whole images, 137 epochs).
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU (release: 3 and 6 on one): images are mixed within a GPU, so that
# batch_size is not to be divided further.
# Published figures: none that we could read. mIoU, time and memory: not measured.
# python tools/train.py configs/stpg/stpg_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='STPG', joint_forward=False)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=14311, when_full=False),
    anchor_assignment=dict(type='AnchorAssignmentHook'),
)
