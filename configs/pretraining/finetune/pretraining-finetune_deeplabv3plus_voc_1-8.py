# Fine-tuning on Pascal VOC with 1/8 of the augmented set (1,323 labels) with a pre-trained ResNet-50.
#
# BACKBONE (default work_dirs/backbone.pth) is a file of tools/model_converters/export_backbone.py.
# All else is as in the supervised baseline of the same ending, which has a ResNet-101.
#
# mIoU: not measured.
# BACKBONE=work_dirs/rotation.pth python tools/train.py \
#     configs/pretraining/finetune/pretraining-finetune_deeplabv3plus_voc_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r101-d8.py',
    '../../_base_/datasets/voc.py',
    '../../_base_/schedules/sgd_poly_80k.py',
    '../../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(size=(321, 321)),
        backbone=dict(
            depth=50,
            init_cfg=dict(type='Pretrained', checkpoint='{{$BACKBONE:work_dirs/backbone.pth}}'),
        ),
        decode_head=dict(num_classes=21),
    )
)
train_dataloader = dict(batch_size=10)
