# Pascal VOC 2012 with image-level tags: the 10,582 training images of the augmented set, 20 classes and
# the background. Layout and sizes: voc.py.
#
# Tags are the classes that SegmentationClassAug shows; no path to a mask of a training image is kept.
# Reading 10,582 masks at every start takes a while: tools/weak/make_tags.py writes a file of tags, to
# be set as `tags` (and data_prefix.seg_map_path to None).
_base_ = ['./voc.py']
train_dataloader = dict(
    sampler=dict(_delete_=True, type='LabeledUnlabeledSampler', ratio=dict(tagged=1)),
    dataset=dict(
        split=None,
        labeled=None,
        unlabeled=None,
        tagged=dict(
            type='TaggedImageDataset',
            data_root='{{$VOC_ROOT:data/VOCdevkit/VOC2012}}',
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
            ann_file='ImageSets/Segmentation/trainaug.txt',
            tags='masks',
            metainfo=dict(
                classes=(
                    *('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus'),
                    *('car', 'cat', 'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike'),
                    *('person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'),
                )
            ),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='RandomChoice',
                    transforms=[
                        [dict(type='Resize', scale_factor=tenth / 10, keep_ratio=True)]
                        for tenth in range(5, 17)
                    ],
                ),
                dict(type='RandomCrop', crop_size=(321, 321)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ],
        ),
    ),
)
