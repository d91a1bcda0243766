# The 15 objects of MSRC-21 with image-level tags: 16 classes of which 0 is the background, into which
# building, grass, tree, sky, water and road go. Layout and sizes: msrc21.py.
#
# The tags of the 394 training images are the objects that their masks show (50 pixels or more); no
# path to a training mask is kept. Masks of the validation images are for scores alone. A batch is 8
# tagged images.
_base_ = ['./msrc21.py']
classes = (
    *('background', 'cow', 'sheep', 'aeroplane', 'face', 'car', 'bicycle', 'flower', 'sign'),
    *('bird', 'book', 'chair', 'cat', 'dog', 'body', 'boat'),
)
objects = dict(background='background', metainfo=dict(classes=classes))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='LabeledUnlabeledSampler', ratio=dict(tagged=1)),
    dataset=dict(
        split=None,
        labeled=None,
        unlabeled=None,
        tagged=dict(
            type='TaggedImageDataset',
            data_root='{{$MSRC21_ROOT:data/msrc21}}',
            data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
            tags='masks',
            min_pixels=50,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.6), keep_ratio=True
                ),
                dict(type='RandomCrop', crop_size=(192, 192)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ],
            **objects,
        ),
    ),
)
val_dataloader = dict(dataset=objects)
test_dataloader = dict(dataset=objects)
del classes, objects
