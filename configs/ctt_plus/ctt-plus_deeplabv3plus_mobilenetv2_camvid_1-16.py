# The 1-8 config with 23 random labels. mIoU: not measured.
_base_ = ['./ctt-plus_deeplabv3plus_mobilenetv2_camvid_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_16/seed0'))
