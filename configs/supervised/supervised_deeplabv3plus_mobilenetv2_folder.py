# Supervised baseline on your own folder of images; layout in ../_base_/datasets/folder.py.
# Set sizes.num_classes to the number of classes in meta.json. mIoU, time and memory: yours to measure.
# FOLDER_ROOT=data/mine python tools/train.py \
#     configs/supervised/supervised_deeplabv3plus_mobilenetv2_folder.py \
#     --cfg-options sizes.num_classes=5
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
_base_.model.segmentor.decode_head.num_classes = 2
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
