# Fine-tuning on your own folder of images and masks with a pre-trained backbone; layout in
# ../../_base_/datasets/folder.py. Set sizes.num_classes to the number of classes in meta.json.
#
# BACKBONE (default work_dirs/backbone.pth) is a file of tools/model_converters/export_backbone.py.
# All else is as in the supervised baseline of the same ending.
#
# mIoU: yours to measure.
# FOLDER_ROOT=data/mine BACKBONE=work_dirs/rotation.pth python tools/train.py \
#     configs/pretraining/finetune/pretraining-finetune_deeplabv3plus_mobilenetv2_folder.py \
#     --cfg-options sizes.num_classes=5
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../_base_/datasets/folder.py',
    '../../_base_/schedules/adamw_poly.py',
    '../../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        backbone=dict(
            init_cfg=dict(type='Pretrained', checkpoint='{{$BACKBONE:work_dirs/backbone.pth}}')
        ),
        decode_head=dict(num_classes=2),
    )
)
train_dataloader = dict(batch_size=4)
