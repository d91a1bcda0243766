# UniMatch on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code in the step, the threshold of 0.95, the weights of the terms and the
# strong views. Our own: the optimiser, labelled images in the pass of the strong views (the code: of the
# weak view, which fails with the labels of one drive), and CutMix with the next image of the batch (the
# code: with a second batch).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/unimatch/unimatch_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='UniMatch', channels_last=True)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
