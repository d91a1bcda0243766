# The 1-8 config with 100 labels; published (CTT, table 1): 59.53 mIoU at 512x1024.
# mIoU of this implementation: not measured.
_base_ = ['./ctt_deeplabv2_cityscapes_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_30/seed0'))
