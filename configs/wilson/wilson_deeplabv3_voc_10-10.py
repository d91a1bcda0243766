# WILSON on Pascal VOC 2012, 10-10: 10 classes with masks, then 10 from tags, in the disjoint setting.
#
# Published: DeepLabV3 with ResNet-101 at output stride 16, losses, weights, alpha 0.5, SGD, learning rates
# (step 0: 0.01; step 1: 0.001 for the backbone, 0.01 for decoder and localiser), batch 24, 30 and 40
# epochs of 3,706 and 6,876 images, pseudo-labels and decay of the learning rate from 1/8 of step 1 on.
# Another here: batch normalisation with ReLU in the backbone, void stays ignored in step 0, RandomResize
# and RandomCrop in the place of torchvision's RandomResizedCrop, no jump of the learning rate at 1/8
# (the release continues with that of a decay from the start, 0.886 times as high), whole images in
# the test. README.md has settings for what of it can be set.
#
# The overlap setting: --cfg-options self_training.setting=overlap and 7,674 iterations of step 0.
# Published mIoU, disjoint (old, new, all): 64.5, 54.3, 60.8; of this implementation: not measured.
# python tools/self_train.py configs/wilson/wilson_deeplabv3_voc_10-10.py
_base_ = [
    '../_base_/models/deeplabv3_r101-d16.py',
    '../_base_/datasets/voc_steps.py',
    '../_base_/schedules/sgd_incremental.py',
    '../_base_/default_runtime.py',
]
base_classes = [
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
]
new_classes = [
    'diningtable',
    'dog',
    'horse',
    'motorbike',
    'person',
    'pottedplant',
    'sheep',
    'sofa',
    'train',
    'tvmonitor',
]
model = dict(type='WILSON', old_classes=['background', *base_classes])
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=1432, by_epoch=False)]
train_cfg = dict(max_iters=11460, val_interval=2865)
groups = dict(old=base_classes, new=new_classes)
val_evaluator = dict(type='IncrementalIoUMetric', groups=groups)
test_evaluator = dict(type='IncrementalIoUMetric', groups=groups)
self_training = dict(
    steps=[base_classes, new_classes],
    setting='disjoint',
    first_training=dict(train_cfg=dict(max_iters=4632, val_interval=1158)),
    labeled=dict(
        type='FolderSegDataset',
        data_root='{{$VOC_ROOT:data/VOCdevkit/VOC2012}}',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
        known_classes=['background', *base_classes, *new_classes],
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='CheckSegMap'),
            dict(type='RandomResize', scale=(512, 512), ratio_range=(0.7, 2.0)),
            dict(type='RandomCrop', crop_size=(512, 512)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ],
    ),
)
del base_classes, new_classes, groups
