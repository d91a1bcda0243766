# CTT with alignment, class thresholds, a ramp and little contrast, on your own folder of images;
# layout in ../_base_/datasets/folder.py, settings as in the CamVid config of this folder.
# Set sizes.num_classes to the number of classes in meta.json. mIoU, time and memory: yours to measure.
# FOLDER_ROOT=data/mine python tools/train.py \
#     configs/ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_folder.py --cfg-options sizes.num_classes=5
#
# A config of your own, data/mine/ctt-plus_mine.py, with other sizes and another length:
# _base_ = ['mmseg_ctt::ctt_plus/ctt-plus_deeplabv3plus_mobilenetv2_folder.py']
# sizes = dict(scale=(640, 480), crop_size=(384, 512), num_classes=5, max_iters=4000)
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'ctt-plus'
model = dict(segmentor=dict(decode_head=dict(num_classes=2)))
