# Fine-tuning on 50 labelled street scenes with a pre-trained backbone.
#
# BACKBONE (default work_dirs/backbone.pth) is a file of tools/model_converters/export_backbone.py.
# All else is as in the supervised baseline of the same ending.
#
# mIoU: not measured.
# BACKBONE=work_dirs/rotation.pth python tools/train.py \
#     configs/pretraining/finetune/pretraining-finetune_deeplabv3plus_streets_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r18-small.py',
    '../../_base_/datasets/streets.py',
    '../../_base_/schedules/adamw_poly_scratch.py',
    '../../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        backbone=dict(
            init_cfg=dict(
                _delete_=True, type='Pretrained', checkpoint='{{$BACKBONE:work_dirs/backbone.pth}}'
            )
        )
    )
)
train_dataloader = dict(batch_size=4)
