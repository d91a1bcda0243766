# STPG on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: loss weights, temperatures, queues of 256, learning rate 0.005, weight
# decay 1e-4 without norms and biases, teachers in training mode with their own batch-norm
# statistics, labelled and unlabelled images in passes of their own, contrast after 11 and the last
# matching of anchors after 20 passes over the unlabelled images (`epoch > 10` and `epoch < 20`,
# epochs counted from 0). Our own: a memory that fills from the start (release: after 6 passes), a
# trained projection with the memory in its space, anchors matched every 10 iterations, one box in
# CutMix, output stride 8 (release: 16, the last stage dilated by 2, 4 and 8), crops of 321 instead of
# 512, images at 0.5 to 1.6 of their size (release: to 2.0) and 80,000 iterations (release: 34 epochs),
# as for the other methods here.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU (release: 8 and 16); with n GPUs divide
# batch_size by n.
# Published figures: none that we could read. mIoU, time and memory: not measured.
# python tools/train.py configs/stpg/stpg_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='STPG',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
)
optim_wrapper = dict(
    optimizer=dict(lr=0.005, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=10186, when_full=False),
    anchor_assignment=dict(type='AnchorAssignmentHook', stop_iter=18520),
)
