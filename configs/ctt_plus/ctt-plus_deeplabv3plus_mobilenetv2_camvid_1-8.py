# CTT with alignment, class thresholds, a ramp and little contrast, on CamVid with 46 labelled and 321
# unlabelled images, from ImageNet weights, for a CPU.
#
# Formulae follow the paper, the teachers' training mode the released code (in eval mode, with
# averaged statistics, they know nothing for the first few hundred iterations). Our own: one
# strong view for both students, batch statistics of labelled and unlabelled images joint in
# students but not in teachers, which are evaluated with averages of the students' statistics,
# queues of 64, embeddings pooled from stride 4 to 16, contrast from iteration 500 at the latest,
# because the rarest classes hardly ever enter their queues early on, and with a tenth of the
# paper's weight; classes that pseudo-labels name too rarely are raised towards the flattened
# class frequencies of the labels, and pixels used from the mean confidence of their class on,
# because rare classes are taught away otherwise; students follow the teachers with full weight
# only after two fifths of the run, when these label better (docs/lab_notebook.md).
#
# mIoU, time and memory: not measured; at 120x160 and 1,000 iterations: docs/lab_notebook.md.
# python tools/train.py configs/ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    channels_last=True,
    loss_weights=dict(hc=0.01, lc=0.01),
    consistency=dict(select='pixel', class_thresholds=dict()),
    ramp_up=0.4,
    bank=dict(size=64),
    contrast=dict(pool=4),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    alignment=dict(
        type='DistributionAlignmentHook', temperature=0.5, uniform_start=False, only_raise=True
    ),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=100,
    ),
)
