# PrevMatch on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the released code in the step, 8 past models of which 1 to 3 are drawn, the thresholds
# of 0.95 (student) and 0.9 (past models) and the weights of the terms. Our own: the student is stored 20
# times in the run (the code: after each validation with a new best score, of which this run has
# too few), the weight of the past models changes with each iteration (each epoch), the optimiser,
# labelled images in the pass of the strong views (of the weak view), and CutMix with the next image of
# the batch (a second batch).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/prevmatch/prevmatch_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='PrevMatch', channels_last=True)
default_hooks = dict(
    past_models=dict(type='PastModelsHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
