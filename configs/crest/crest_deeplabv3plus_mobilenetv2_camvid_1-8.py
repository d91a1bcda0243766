# CReST on CamVid with 46 labelled images: three complete trainings of ClassMix, each
# but the first with class-rebalanced pseudo-labels of the one before among its labels.
#
# Base method: a mean teacher whose student learns the pseudo-labels of all pixels on a strong view,
# times the ratio of those at 0.95 or more (FixMatch's number; FixMatch leaves the other pixels out).
# Selection as in the released code of CReST: the rarest class keeps all, the commonest the cube root
# of the imbalance. self_training.align=True is CReST+. Our own: what images and pixels are, a decay of
# the teacher of 0.99 (release: 0.999, too slow for a run of this length), and unlabelled images
# without the labelled ones, which the release has among them; see README.md.
#
# Three times 1,500 iterations, each at about the cost of one pair of CTT. The paper has no figure for
# segmentation. mIoU, time and memory: not measured.
# python tools/self_train.py configs/crest/crest_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ClassMix', channels_last=True, consistency=dict(confidence_threshold=0.95))
self_training = dict(generations=3, alpha=1 / 3)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
