# CTT on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
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
# only after two fifths of the run, when these label better (docs/results.md).
#
# Results, time and memory: README.md of this folder.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    teacher_mode='train',
    joint_forward='students',
    channels_last=True,
    loss_weights=dict(hc=0.01, lc=0.01),
    class_thresholds=dict(),
    ramp=0.4,
    bank=dict(size=64),
    contrast=dict(pool=4),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook'),
    dict(type='QueueWarmupHook', start_iter=500),
    dict(type='DistributionAlignmentHook', temperature=0.5, uniform_start=False, only_raise=True),
    dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=100,
    ),
]
