# CCT on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Follows paper and released code; what is our own: see the CamVid config. The background is road,
# lane marking, pavement, building, vegetation and sky.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/cct/cct_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CrossConsistency', background=(0, 1, 2, 3, 7, 8), channels_last=True)
