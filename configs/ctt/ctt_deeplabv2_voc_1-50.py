# The 1-8 config with 212 labels; published (CTT, table 2): 69.24 mIoU.
# mIoU of this implementation: not measured.
_base_ = ['./ctt_deeplabv2_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_50/seed0'))
