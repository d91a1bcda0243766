# STPG on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Formulae, weights, CutMix without changes of colour, and the evaluated network (the general
# student) follow the released code. Our own: the projection is trained and the memory lies in
# its space, students take both batches in one pass, one box in CutMix, queues of 64, embeddings
# pooled from stride 4 to 16, anchors matched every 10 iterations, and contrast from iteration 500
# at the latest, as in the CTT config.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/stpg/stpg_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='STPG', channels_last=True, bank=dict(size=64), contrast=dict(pool=4))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    anchor_assignment=dict(type='AnchorAssignmentHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
