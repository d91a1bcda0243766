# Rotation pre-training of ResNet-50 on the 10,582 images of the augmented set of Pascal VOC, without
# any label, from scratch.
#
# What follows the paper and what is ours: the CamVid config. Learning rate and length are ours.
#
# 20 crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Rotation accuracy, mIoU after fine-tuning, time and memory: not measured.
# python tools/train.py configs/pretraining/pretraining-rotation_deeplabv3plus_voc.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SelfSupervisedPretraining',
    segmentor=dict(
        data_preprocessor=dict(size=(321, 321)),
        backbone=dict(depth=50, init_cfg=None),
        decode_head=dict(num_classes=21),
    ),
    auxiliary_tasks=[dict(type='RotationTask')],
)
train_dataloader = dict(
    sampler=dict(ratio=dict(labeled=None)),
    dataset=dict(
        split=None, labeled=None, unlabeled=dict(ann_file='ImageSets/Segmentation/trainaug.txt')
    ),
)
val_evaluator = dict(_delete_=True, type='TaskMetric')
test_evaluator = dict(_delete_=True, type='TaskMetric')
optim_wrapper = dict(optimizer=dict(lr=0.03, weight_decay=1e-4))
