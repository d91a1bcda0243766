# Context-aware consistency on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights,
# for a CPU.
#
# Follows paper and released code: directional contrast of two overlapping crops, each mirrored or not and
# with colours, grey and blur of its own, confidence above 0.75, temperature 0.1, 128 channels, weight 0.1
# after the first sixteenth of the training, negatives of this step and the one before. Our own: the
# optimiser, crops of 144x192 cut from the crops of 192x256 that the other methods see (the code: crops of
# the labelled images' size, from larger images), and both crops in one pass, with joint batch statistics.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/cac/cac_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ContextAwareConsistency',
    channels_last=True,
    bank=dict(size=6912, budget=3456),  # 8 crops of 18x24 features a step
    contrast=dict(pool=2),  # from stride 4 to 8
)
