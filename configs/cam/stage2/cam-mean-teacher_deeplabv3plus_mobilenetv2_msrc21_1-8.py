# A few masks and many tags on the objects of MSRC-21: mean teacher with the masks of 49 images, and of
# the other 345 images pseudo-labels of class maps, and tags that limit the labels of the teacher.
#
# PSEUDO_LABELS (default work_dirs/cam_labels) is the folder that tools/weak/make_pseudo_labels.py has
# written. Masks and pseudo-labels are one labelled set; images that have a mask keep it. The teacher
# gives labels to the 345 images of classes of their tags and the background (`use_tags`). With
# train_dataloader.dataset.pseudo=None the pseudo-labels are left out.
#
# Results: configs/cam/README.md.
# python tools/train.py configs/cam/stage2/cam-mean-teacher_deeplabv3plus_mobilenetv2_msrc21_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../_base_/datasets/msrc21_objects.py',
    '../../_base_/schedules/adamw_poly.py',
    '../../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacher',
    use_tags=True,
    segmentor=dict(data_preprocessor=dict(size=(192, 192)), decode_head=dict(num_classes=16)),
)
train_dataloader = dict(
    dataset=dict(
        type='SelfTrainingDataset',
        pseudo='{{$PSEUDO_LABELS:work_dirs/cam_labels}}',
        unlabeled=dict(
            type='TaggedImageDataset',
            data_prefix=dict(seg_map_path='ann_dir/train'),
            tags='masks',
            min_pixels=50,
        ),
    )
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
train_cfg = dict(max_iters=1000)
