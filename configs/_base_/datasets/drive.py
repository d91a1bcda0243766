# DRIVE, retinal vessels: 40 images of 584x565, 2 classes. The 20 images of `val` were drawn by two
# people (ann_dir/val, ann_dir_rater2/val), those of `train` by one (ann_dir/train); pixels outside
# the field of view are background. Labelled: images 01 to 10 of `val`, test: 11 to 20
# (../lists/drive_raters_*.txt), unlabelled: `train`, whose masks are not read.
#
# Labels are what LoadMultiRaterAnnotations makes of the masks; fused masks are written by
# tools/consensus/fuse_annotations.py (docs/guide/raters.md) to DRIVE_FUSED, a path below the root
# or an absolute one. mIoU of the test is that with the first rater: every pixel on which two raters
# differ is a tie. A batch is 4 labelled and 4 unlabelled crops of 256x256.
source = dict(
    data_root='{{$DRIVE_ROOT:data/drive}}',
    metainfo=dict(classes=('background', 'vessel'), palette=[[120, 120, 120], [6, 230, 230]]),
)
raters = dict(
    type='MultiRaterDataset',
    data_prefix=dict(img_path='img_dir/val'),
    raters=dict(first='ann_dir/val', second='ann_dir_rater2/val'),
    **source,
)
geometry = [
    dict(type='RandomResize', scale=(565, 584), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(256, 256)),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadMultiRaterAnnotations', strategy='majority', tie='first', rater_masks=True),
    dict(type='PackSemiSegInputs', maps=('rater_masks',)),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        labeled=dict(
            fused='{{$DRIVE_FUSED:fused}}',
            ann_file='{{fileDirname}}/../lists/drive_raters_train.txt',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadMultiRaterAnnotations', strategy='consensus'),
                *geometry,
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSemiSegInputs', maps=('consensus_margin',)),
            ],
            **raters,
        ),
        unlabeled=dict(
            type='FolderSegDataset',
            data_prefix=dict(img_path='img_dir/train'),
            pipeline=[dict(type='LoadImageFromFile'), *geometry, dict(type='PackSegInputs')],
            **source,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='{{fileDirname}}/../lists/drive_raters_val.txt', pipeline=test_pipeline, **raters
    ),
)
test_dataloader = val_dataloader
del source, raters, geometry
