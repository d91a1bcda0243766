# Left atrium in slices of MR volumes, 2 classes: a folder of images and masks whose names are
# <patient>_z<slice>. Layout below LA2D_ROOT (default data/la2d): img_dir/{train,val},
# ann_dir/{train,val}, meta.json ({"classes": ["background", ...]}) and lists of slices in splits/8,
# made by patient (tools/dataset_converters/patient_lists.py --patient): labeled.txt, unlabeled.txt,
# test.txt. The published split has no validation cases: scores during training are those of the test
# cases, and nothing is chosen by them.
#
# Sizes, augmentation and batch are those of la3d.py.
_base_ = ['./la3d.py']
source = dict(
    _delete_=True,
    type='FolderSegDataset',
    data_root='{{$LA2D_ROOT:data/la2d}}',
    patient='(.+)_z[0-9]+',
)
masks = dict(img_path='img_dir/train', seg_map_path='ann_dir/train')
tested = dict(
    source,
    data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
    ann_file='splits/8/test.txt',
    pipeline=_base_.val_dataloader.dataset.pipeline,
)
train_dataloader = dict(
    dataset=dict(
        labeled=dict(
            source, data_prefix=masks, pipeline=_base_.train_dataloader.dataset.labeled.pipeline
        ),
        unlabeled=dict(
            source,
            data_prefix=dict(img_path='img_dir/train'),
            pipeline=_base_.train_dataloader.dataset.unlabeled.pipeline,
        ),
    )
)
val_dataloader = dict(dataset=tested)
test_dataloader = dict(dataset=tested)
del source, masks, tested
