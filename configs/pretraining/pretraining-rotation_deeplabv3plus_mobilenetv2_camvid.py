# Rotation pre-training of MobileNetV2 on the 367 training images of CamVid, without any label, from
# scratch, for a CPU.
#
# As in the paper (arXiv 1803.07728): four turns, cross-entropy, a linear classifier. Our own: a square
# crop, one random turn of each image (the paper: all four, `rotations='all'`), the mean of the deepest
# map that the decode head will read, and the optimiser. Masks of validation images are not read.
#
# Rotation accuracy, mIoU after fine-tuning, time and memory: not measured.
# python tools/train.py configs/pretraining/pretraining-rotation_deeplabv3plus_mobilenetv2_camvid.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SelfSupervisedPretraining',
    segmentor=dict(backbone=dict(init_cfg=None)),
    auxiliary_tasks=[dict(type='RotationTask')],
)
train_dataloader = dict(
    sampler=dict(ratio=dict(labeled=None)), dataset=dict(split=None, labeled=None)
)
val_evaluator = dict(_delete_=True, type='TaskMetric')
test_evaluator = dict(_delete_=True, type='TaskMetric')
