# CTT on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# The published method: cross teaching times the ratio of confident pixels (released code), both
# contrasts with the paper's weight of 0.1, teachers in training mode (released code). For a short run
# and a small batch: queues of 64, embeddings pooled from stride 4 to 8, contrast from iteration 600 at
# the latest. Our own: one strong view for both students, batch statistics of labelled and unlabelled
# images joint in students but not in teachers, which are evaluated with averages of the students'
# statistics. With so much contrast a network that trains from scratch for so short a time ends lower
# than with less (README.md of ../ctt_plus, whose config the quickstart uses).
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/ctt/ctt_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining', channels_last=True, bank=dict(size=64), contrast=dict(pool=2)
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=0.5),
)
