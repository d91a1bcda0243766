# U2PL on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# The paper's rule for negatives; percentiles, ranks, anchors, temperature, CutMix and the modes of
# the teacher follow the released code. Our own: a tenth of the training on labels alone, queues of
# 3,000 that gain at most 100 keys a step, a representation of 64 channels pooled from stride 4 to
# 16, and a weight of 0.1 on the contrast (the released code's, on ten GPUs); none of it was tuned.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/u2pl/u2pl_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='U2PL',
    joint_forward=True,
    channels_last=True,
    warmup=0.1,
    loss_weights=dict(contrast=0.1),
    bank=dict(size=3000, budget=100),
    contrast=dict(dim=64, pool=4),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
