# Rotation pre-training on the 400 street scenes, without any label, from scratch, in minutes on a CPU.
#
# What follows the paper and what is ours: the CamVid config.
#
# Rotation accuracy, mIoU after fine-tuning, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/pretraining/pretraining-rotation_deeplabv3plus_streets.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
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
