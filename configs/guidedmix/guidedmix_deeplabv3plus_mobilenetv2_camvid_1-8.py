# GuidedMix-Net on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Mode `paper`: images are mixed with the most similar labelled one of the batch, seen through MITrans
# and decoupled. The weights of the terms are our own, the paper's were not available; README.md of
# this folder. `model.mode=released` does what the released code does.
#
# mIoU, time and memory: not measured. Forward passes: labelled, unlabelled and mixed images, all by the
# one student with gradient.
# python tools/train.py configs/guidedmix/guidedmix_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='GuidedMixNet', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.95,  # the method itself uses every pixel
        interval=500,
    ),
)
