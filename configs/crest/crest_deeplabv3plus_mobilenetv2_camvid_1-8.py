# CReST on CamVid with 46 labelled images: three complete trainings of a mean teacher, each but the
# first with class-rebalanced pseudo-labels of the one before among its labels.
#
# Base method: one student that learns the pseudo-labels of its own EMA teacher on a strong view,
# all pixels weighted by the share of those at 0.95 or more (FixMatch's number; FixMatch leaves the
# other pixels out), without contrast. Selection as in the
# released code of CReST: the rarest class keeps all, the commonest the cube root of the imbalance.
# self_training.align=True is CReST+. What images and pixels are is this package's own, see
# README.md.
#
# Three times the 1,500 iterations of the CTT config, each at about the cost of one pair. The paper
# has no figure for segmentation.
# mIoU, time and memory: not measured.
# python tools/self_train.py configs/crest/crest_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = ['../ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(
    num_pairs=1,
    teaching='self',
    confident=0.95,
    class_thresholds=None,
    ramp=0,
    loss_weights=dict(hc=0, lc=0),
)
custom_hooks = [  # those of CTT without the contrast's warm-up and the alignment
    dict(type='TeacherEMAHook'),
    dict(
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
]
self_training = dict(generations=3, alpha=1 / 3)
