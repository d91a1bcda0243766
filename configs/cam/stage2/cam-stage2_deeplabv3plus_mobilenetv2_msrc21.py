# Second stage on the objects of MSRC-21: an ordinary segmentor on pseudo-labels of class maps.
#
# PSEUDO_LABELS (default work_dirs/cam_labels) is the folder that tools/weak/make_pseudo_labels.py has
# written. No mask of a training image is read. Network, sizes and length are those of
# configs/supervised/supervised_deeplabv3plus_mobilenetv2_msrc21-objects_1-8.py.
#
# Results: configs/cam/README.md.
# python tools/train.py configs/cam/stage2/cam-stage2_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../_base_/datasets/msrc21_objects.py',
    '../../_base_/schedules/adamw_poly.py',
    '../../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['data_preprocessor'].update(size=(192, 192))
model['decode_head'].update(num_classes=16)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(ratio=dict(unlabeled=0)),
    dataset=dict(
        split=None,
        unlabeled=None,
        labeled=dict(
            type='PseudoLabelDataset',
            pseudo_labels='{{$PSEUDO_LABELS:work_dirs/cam_labels}}',
            data_prefix=dict(seg_map_path=None),
        ),
    ),
)
train_cfg = dict(max_iters=1000)
