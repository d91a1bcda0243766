# GuidedMix-Net on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Mode `released`: features of the ASPP are mixed at random, a second classifier reads them, focal loss
# of weight 10. `model.mode=paper` is our reading of the paper, whose text was not available: images are
# mixed with the most similar labelled one of the batch, seen through MITrans and decoupled, with
# weights of our own; README.md of this folder.
#
# mIoU, time and memory: not measured. Forward passes: labelled and unlabelled images by the one student
# with gradient.
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
