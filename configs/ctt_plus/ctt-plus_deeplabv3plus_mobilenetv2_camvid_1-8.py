# CTT-plus on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU. Its
# settings: ../_base_/methods/ctt_plus.py.
#
# mIoU, time and memory: not measured; at 120x160 and 1,000 iterations: docs/lab_notebook.md.
# python tools/train.py configs/ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'ctt-plus'
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=100,
    )
)
