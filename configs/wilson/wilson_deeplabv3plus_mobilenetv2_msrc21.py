# WILSON on MSRC-21: 13 classes with masks, then 8 from tags in one step. DeepLabV3+ with MobileNetV2 from
# ImageNet weights, for a CPU. What follows paper and released code, and what does not: README.md.
#
# This is the config of step 1; tools/self_train.py makes those of all steps from it. Published: losses
# and their weights, pseudo-labels from 1/8 of the run, alpha 0.5. Our own: network, optimiser, sizes.
# Void stays ignored in step 0 (the release trains it as background). Results: README.md.
#
# --cfg-options self_training.method=finetune (masks of the new classes) and self_training.method=joint
# are the comparisons.
# python tools/self_train.py configs/wilson/wilson_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21_steps.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
base_classes = ['building', 'grass', 'tree', 'sky', 'water', 'road', 'cow', 'sheep', 'aeroplane']
base_classes += ['face', 'car', 'bicycle', 'body']
new_classes = ['flower', 'sign', 'bird', 'book', 'chair', 'cat', 'dog', 'boat']
model = dict(
    type='WILSON',
    old_classes=['background', *base_classes],
    segmentor=dict(
        data_preprocessor=dict(size=(192, 192)),
        decode_head=dict(num_classes=22, loss_decode=dict(type='PixelSigmoidLoss')),
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3), paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)})
)
train_cfg = dict(max_iters=300, val_interval=300)
groups = dict(old=base_classes, new=new_classes)
val_evaluator = dict(type='IncrementalIoUMetric', groups=groups)
test_evaluator = dict(type='IncrementalIoUMetric', groups=groups)
self_training = dict(
    type='ClassIncremental',
    steps=[base_classes, new_classes],
    setting='overlap',
    first_training=dict(
        optim_wrapper=dict(
            optimizer=dict(lr=2e-3),
            paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
        ),
        train_cfg=dict(max_iters=400, val_interval=400),
    ),
    labeled=dict(
        type='FolderSegDataset',
        data_root='{{$MSRC21_ROOT:data/msrc21}}',
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='CheckSegMap'),
            dict(type='RandomResize', scale=(320, 320), ratio_range=(0.6, 1.1), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(192, 192), cat_max_ratio=1.0),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs'),
        ],
    ),
)
del base_classes, new_classes, groups
