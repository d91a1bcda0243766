# VAT on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the released code of CutMix-Seg: a direction by the teacher, a change that grows with the
# contrast of the image (radius 1), Kullback-Leibler divergence from the teacher's probabilities times
# the ratio of pixels at 0.97 or more, weight 0.1. Our own: the gradient is taken at a tenth of the
# change (the code: 1e-9 H W, which leaves rounding noise), the teacher in training mode, with the
# dropout of its first pass (the code: eval mode), the optimiser, and batch norm that trains (the code
# freezes it).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/vat/vat_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='VirtualAdversarialTeacher', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
