# UniMatch V2 on your own folder of images; layout in ../_base_/datasets/folder.py, method in
# ../_base_/methods/unimatch_v2.py.
# Set sizes.num_classes to the number of classes in meta.json. mIoU, time and memory: yours to measure.
# FOLDER_ROOT=data/mine python tools/train.py \
#     configs/unimatch_v2/unimatch_v2_deeplabv3plus_mobilenetv2_folder.py \
#     --cfg-options sizes.num_classes=5
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'unimatch_v2'
model = dict(segmentor=dict(decode_head=dict(num_classes=2)))
