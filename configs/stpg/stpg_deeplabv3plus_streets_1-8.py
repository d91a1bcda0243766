# STPG on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Formulae, weights and CutMix follow the released code. Our own, as in the CTT config of these
# data: students take both batches in one pass, queues of 64, embeddings pooled from stride 4 to 8,
# a tenth of the released weight on the contrast, from iteration 600; and a trained projection with
# the memory in its space.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/stpg/stpg_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='STPG',
    channels_last=True,
    loss_weights=dict(contrast_labeled=0.01, contrast_unlabeled=0.01),
    bank=dict(size=64),
    contrast=dict(pool=2),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=0.5),
    anchor_assignment=dict(type='AnchorAssignmentHook'),
)
