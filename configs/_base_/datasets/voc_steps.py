# Pascal VOC 2012 in steps of class-incremental learning: the 20 classes in their order, background 0.
# Layout: voc.py.
#
# Later steps read tags, the classes that SegmentationClassAug shows (voc_tags.py: how to have them in a
# file); step 0 reads masks: `labeled` of `self_training` in the configs of
# configs/wilson. Crops are 512x512, a batch is 24 images. mmseg's own class of the data set cannot
# leave classes out, so these are plain folders with the names of all ids.
_base_ = ['./voc.py']
classes = (
    *('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair'),
    *('cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa'),
    *('train', 'tvmonitor'),
)
known = dict(known_classes=classes, background='background')
evaluated = dict(dataset=dict(type='FolderSegDataset', **known))
train_dataloader = dict(
    batch_size=24,
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
            metainfo=dict(classes=classes),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='RandomResize', scale=(512, 512), ratio_range=(0.7, 2.0)),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs'),
            ],
            **known,
        ),
    ),
)
val_dataloader = evaluated
test_dataloader = evaluated
del classes, known, evaluated
