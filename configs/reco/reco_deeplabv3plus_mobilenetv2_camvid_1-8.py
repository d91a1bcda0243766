# ReCo with ClassMix on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a
# CPU.
#
# Follows paper and released code: ClassMix, colours and blur, teacher in training mode, cross-entropy to
# its labels times each image's ratio of pixels at 0.97 or more, contrast of weight 1 with 256 queries a
# class (probability below 0.97, pixels of 0.7 or more) and 512 negative keys, temperature 0.5. Our own:
# the optimiser, a representation of 64 channels pooled from stride 4 to 16 (the code: 256, not pooled),
# batch statistics of labelled and mixed images are joint in the student, the teacher is evaluated with
# averages of its statistics, and mixed images are neither rescaled nor flipped again.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/reco/reco_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ReCo', channels_last=True, contrast=dict(dim=64, pool=4))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
