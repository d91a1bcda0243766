# AllSpark on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the paper in the neck, the memory, the grouping of channels by probabilities and the labels
# of all pixels, and the released code in the weights of both terms and the start of the memory after
# 1/16 of the run. Our own: a convolutional network for the transformer (its last map has output stride
# 16), its optimiser, queues that begin empty, labelled images that read the channels of their own head,
# and pseudo-labels in training mode (the code: eval mode, which mode='released' takes).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/allspark/allspark_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='AllSpark', channels_last=True)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
