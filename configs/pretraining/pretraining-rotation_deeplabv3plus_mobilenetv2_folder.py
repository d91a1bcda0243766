# Rotation pre-training of MobileNetV2 on your own images, without any label and from scratch; layout
# in ../_base_/datasets/folder.py. Neither masks nor meta.json are needed.
#
# splits/images/unlabeled.txt lists the images to learn from, val.txt others of which the rotation accuracy
# is measured; `make_split.py images` writes both. What follows the paper and what is ours: the CamVid
# config.
#
# Rotation accuracy, time and memory: yours to measure.
# python tools/dataset_converters/make_split.py images --img-dir data/mine/images --val 20 \
#     --out data/mine/splits/images
# FOLDER_ROOT=data/mine python tools/train.py \
#     configs/pretraining/pretraining-rotation_deeplabv3plus_mobilenetv2_folder.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SelfSupervisedPretraining',
    segmentor=dict(backbone=dict(init_cfg=None)),
    auxiliary_tasks=[dict(type='RotationTask')],
)
train_dataloader = dict(
    sampler=dict(ratio=dict(labeled=None)), dataset=dict(split='splits/images', labeled=None)
)
val_evaluator = dict(_delete_=True, type='TaskMetric')
test_evaluator = dict(_delete_=True, type='TaskMetric')
images_alone = dict(
    ann_file='splits/images/val.txt',
    data_prefix=dict(seg_map_path=None),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(320, 240), keep_ratio=True),
        dict(type='PackSegInputs'),
    ],
)
val_dataloader = dict(dataset=images_alone)
test_dataloader = dict(dataset=images_alone)
del images_alone
