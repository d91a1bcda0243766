# CTT on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# The published method: cross teaching times the ratio of confident pixels (released code), both
# contrasts with the paper's weight of 0.1, teachers in training mode (released code; in eval mode, with
# averaged statistics, they know nothing for the first few hundred iterations). For a short run and a
# small batch: queues of 64, embeddings pooled from stride 4 to 16, contrast from iteration 500 at the
# latest, because the rarest classes hardly ever enter their queues early on. Our own: one strong view
# for both students, batch statistics of labelled and unlabelled images joint in students but not in
# teachers, which are evaluated with averages of the students' statistics. What else we found to help
# on CamVid is in ../ctt_plus.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining', channels_last=True, bank=dict(size=64), contrast=dict(pool=4)
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
