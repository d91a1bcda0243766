# CReST on Pascal VOC with 1,323 labels: three complete trainings of ClassMix, each
# but the first with class-rebalanced pseudo-labels of the one before among its labels.
#
# Base method: a mean teacher whose student learns the pseudo-labels of all pixels on a strong view,
# times the ratio of those at 0.95 or more (FixMatch's number; FixMatch leaves the other pixels out).
# Selection as in the released code of CReST: the rarest class keeps all, the commonest the cube root
# of the imbalance; the teacher's decay is 0.999. self_training.align=True is CReST+. Our own: what
# images and pixels are, and unlabelled images without the labelled ones, which the release has among
# them; see README.md.
#
# Three times 80,000 iterations, each at about the cost of one pair of CTT. The paper has no figure for
# segmentation. mIoU, time and memory: not measured.
# python tools/self_train.py configs/crest/crest_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ClassMix',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    consistency=dict(confidence_threshold=0.95),
)
self_training = dict(generations=3, alpha=1 / 3)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.999, buffers=False))
