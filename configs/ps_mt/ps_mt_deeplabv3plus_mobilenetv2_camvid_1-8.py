# PS-MT on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code: two teachers in turns, the mean of their logits, colours, grey, blur
# and CutMix, features changed by the teachers' decoders (length 2), cross-entropy weighted by
# confidence of pixels at 0.6 or more, mean over these, weight 1.5 that climbs along half a cosine in
# 15 % of the run. Our own: turns of 100 iterations (an epoch there), the change is that of the deepest
# features (the code: those behind ASPP) and its gradient is taken at a length of 0.1 (the code: 1e-6,
# which leaves rounding noise), CutMix of 25 to 75 % with the neighbour in the batch, a shared start of
# all three networks (the code: five epochs on labels for each), EMA of 0.99 (0.996), the optimiser.
# Left out: the code also lets the teacher that rests decide among its seven best classes alone.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/ps_mt/ps_mt_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='PSMT', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
