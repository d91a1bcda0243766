# CTT with a ramp and little contrast on 50 labelled and 350 unlabelled street scenes, from scratch, in
# minutes on a CPU: the config of the quickstart. Unlike the CamVid config of this folder it has
# neither alignment nor class thresholds.
#
# Formulae follow the paper, the teachers' training mode the released code. Our own: one strong
# view for both students, joint batch statistics, teachers that are evaluated with averages of the
# students' statistics, queues of 64, embeddings pooled from stride 4 to 8, a pixel is confident
# from 0.95, and a tenth of the paper's weight on the contrast, from iteration 600: with more of
# it, or earlier, a network trained from scratch for so short a time ends lower; students follow
# the teachers with full weight only after two fifths of the run.
#
# Results, time and memory: README.md of this folder.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    joint_forward=True,
    channels_last=True,
    consistency=dict(confidence_threshold=0.95),
    ramp_up=0.4,
    loss_weights=dict(hc=0.01, lc=0.01),
    bank=dict(size=64),
    contrast=dict(pool=2),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=0.5),
)
