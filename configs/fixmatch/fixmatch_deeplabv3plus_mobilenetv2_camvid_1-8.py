# FixMatch on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows FixMatch in the threshold of 0.95 and the weight of 1, and UniMatch's released code, whose
# baseline it is, in the steps of the strong view and the division by all pixels. Our own: the
# optimiser, and pseudo-labels from a pass of the unlabelled images alone (the code: with the labelled
# ones).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/fixmatch/fixmatch_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='FixMatchSeg', channels_last=True)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
