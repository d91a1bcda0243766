# Fine-tuning on the 101 labels of one drive of CamVid, 0006R0, with a pre-trained backbone.
#
# BACKBONE (default work_dirs/backbone.pth) is a file of tools/model_converters/export_backbone.py.
# All else is as in the supervised baseline of the same ending.
#
# mIoU: not measured.
# BACKBONE=work_dirs/rotation.pth python tools/train.py \
#     configs/pretraining/finetune/pretraining-finetune_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/schedules/adamw_poly.py',
    '../../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        backbone=dict(
            init_cfg=dict(type='Pretrained', checkpoint='{{$BACKBONE:work_dirs/backbone.pth}}')
        )
    )
)
train_dataloader = dict(batch_size=4, dataset=dict(split='splits/seq_0006R0'))
