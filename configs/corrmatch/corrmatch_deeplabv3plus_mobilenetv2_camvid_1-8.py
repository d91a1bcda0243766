# CorrMatch on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the released code in the correlation, the regions, the dynamic threshold from 0.85 and the
# weights of the terms. Corrections (mode='released' is without them): spread logits are means (the code
# takes the transposed correlation), regions are tested all at once (one after the other), the
# divergence compares images that are mixed alike (the weak view is not mixed), and labelled images are
# in the pass of the strong view (of the weak view). Our own: the optimiser, and CutMix with the next
# image of the batch (the code: with a second batch).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/corrmatch/corrmatch_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CorrMatch', channels_last=True)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
