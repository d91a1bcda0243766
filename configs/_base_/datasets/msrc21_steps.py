# MSRC-21 in steps of class-incremental learning: 22 classes, of which 0 is the background: whatever is
# not yet a class of a step. Layout and sizes: msrc21.py.
#
# Later steps read tags (classes that the masks of training images show, 50 pixels or more); no path to
# a mask is kept. Step 0 reads masks: `labeled` of `self_training` in the configs of configs/wilson.
# The 13 classes of step 0 are the 6 surroundings and 7 of the objects, so that its images show few of
# the others. Scores leave the background out of all means where no mask has any, as at the last step.
classes = (
    'background',
    *('building', 'grass', 'tree', 'sky', 'water', 'road'),
    *('cow', 'sheep', 'aeroplane', 'face', 'car', 'bicycle', 'body'),
    *('flower', 'sign', 'bird', 'book', 'chair', 'cat', 'dog', 'boat'),
)
source = dict(
    data_root='{{$MSRC21_ROOT:data/msrc21}}',
    background='background',
    metainfo=dict(classes=classes),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(tagged=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        tagged=dict(
            type='TaggedImageDataset',
            data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
            tags='masks',
            min_pixels=50,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='RandomResize', scale=(320, 320), ratio_range=(0.6, 1.1), keep_ratio=True
                ),
                dict(type='RandomCrop', crop_size=(192, 192)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ],
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
        type='FolderSegDataset',
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        **source,
    ),
)
test_dataloader = val_dataloader
del classes, source
