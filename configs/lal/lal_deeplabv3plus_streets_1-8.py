# Locally adaptive learning loss on 50 of the 400 street scenes, from scratch, in minutes on a CPU.
#
# The supervised baseline with another loss, see the CamVid config.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/lal/lal_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(segmentor=dict(decode_head=dict(loss_decode=dict(type='LocallyAdaptiveLoss'))))
