# The 1-8 config with 1488 labels; published (CTT, table 1): 63.13 mIoU at 512x1024.
# mIoU of this implementation: not measured.
_base_ = ['./supervised_deeplabv2_cityscapes_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_2/seed0'))
