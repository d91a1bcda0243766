# CPS with CutMix on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a
# CPU.
#
# Follows paper and released code: two students of other initial weights, cross-entropy to the other's
# labels of all pixels with weight 1, CutMix of three boxes. Our own: the optimiser, and batch
# statistics of labelled and mixed images are joint. The two backbones begin with the same weights, so
# that the heads and dropout tell the students apart (as in the released code).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/cps/cps_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CrossPseudoSupervision', channels_last=True)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    )
)
