# Dual negative labels on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights,
# for a CPU.
#
# From the released code (of image classification): two negatives a pixel, weight 2 after a climb
# over 15 % of the training, positive labels from a confidence of 0.8, both directions in every
# iteration. Our own: all that pixels need (README.md of this folder), and the peers, which are the
# other pair's teachers as in CTT, in training mode; with model.supervision=mutual they are the
# paper's, the other student itself.
#
# mIoU, time and memory: not measured. The paper has no figure for segmentation.
# python tools/train.py configs/dual_negative/dual_negative_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualNegativeLabel', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
