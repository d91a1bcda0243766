# S4L with rotation on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Rotation as in the CamVid config, which says what follows the paper. Learning rate, weight decay,
# crops and length are those of the supervised baseline, since the paper has no segmentation.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Published figures: none. mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='S4L',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    auxiliary_tasks=[dict(type='RotationTask')],
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))  # an average that only predicts
