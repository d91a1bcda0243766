# SemiVL on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# What it follows and what is our own, and the files of CLIP: see the CamVid config. Without them the
# guidance is random.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/semivl/semivl_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SemiVL',
    channels_last=True,
    guidance=dict(
        checkpoint='pretrained:clip_vit_b16.pt|random',
        text_file='pretrained:clip_vit_b16_streets.npz|random',
        texts=[
            'road',
            'lane marking',
            'pavement',
            'building',
            'fence',
            'pole',
            'traffic sign',
            'vegetation',
            'sky',
            'pedestrian',
            'bicyclist',
            'car',
        ],
    ),
)
