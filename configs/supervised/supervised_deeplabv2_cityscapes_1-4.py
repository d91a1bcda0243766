# The 1-8 config with 744 labels; published (CTT, table 1): 61.63 mIoU at 512x1024.
# mIoU of this implementation: not measured.
_base_ = ['./supervised_deeplabv2_cityscapes_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_4/seed0'))
