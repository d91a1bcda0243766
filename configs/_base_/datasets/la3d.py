# Left atrium in MR volumes, 2 classes, slices along z of about 190x143 pixels. Layout below LA3D_ROOT
# (default data/la3d), also for volumes of your own: images/ and labels/ with NIfTI, .npy, .npz or .h5
# files of equal names, meta.json ({"classes": ["background", ...]}) and lists of volumes in splits/8:
# labeled.txt, unlabeled.txt, test.txt (tools/dataset_converters/patient_lists.py). Unlabelled volumes
# need no label. The published split has no validation cases: scores during training are those of the
# test cases, every fourth slice of them, and nothing is chosen by them. The test has every slice; with
# `test_evaluator` of the configs of this ending it scores whole volumes too (VolumeMetric).
#
# Plane, context, window and percentiles of all sets: `volume_slices` of ../default_runtime.py; other
# sizes: `sizes`. A batch is 4 labelled and 4 unlabelled slices. Augmentation: flips, small rotations,
# sizes; no colours.
source = dict(
    type='VolumeSliceDataset',
    data_root='{{$LA3D_ROOT:data/la3d}}',
    data_prefix=dict(img_path='images'),
)
labeled = dict(source, data_prefix=dict(img_path='images', seg_map_path='labels'))
geometry = [
    dict(type='RandomResize', scale=(208, 144), ratio_range=(0.8, 1.25), keep_ratio=True),
    dict(type='RandomRotate', prob=0.5, degree=15.0),
    dict(type='RandomCrop', crop_size=(144, 144), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(208, 144), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        split='splits/8',
        labeled=dict(
            labeled,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='CheckSegMap'),
                *geometry,
                dict(type='PackSegInputs'),
            ],
        ),
        unlabeled=dict(
            source, pipeline=[dict(type='LoadImageFromFile'), *geometry, dict(type='PackSegInputs')]
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(labeled, ann_file='splits/8/test.txt', stride=4, pipeline=test_pipeline),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(labeled, ann_file='splits/8/test.txt', pipeline=test_pipeline)
)
del source, labeled, geometry  # a config that sets them would change nothing
