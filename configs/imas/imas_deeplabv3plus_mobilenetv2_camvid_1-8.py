# iMAS on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# As in the released code for Cityscapes, whose images are of streets too: threshold 0.7, weight 3, two
# random intensities of twelve, mixed with the weak view by the easiness of the image, CutMix of an easy
# with a hard image as often as images are easy, loss of each image times its easiness. Our own: no
# class counts as background (the code: class 0), boxes are centred anywhere, the side of the box is
# drawn for each image, the optimiser, the teacher in training mode and its decay of 0.99.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/imas/imas_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='IMAS',
    channels_last=True,
    loss_weights=dict(unsup=3.0),
    consistency=dict(confidence_threshold=0.7),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
