# The 1-8 config with 2645 labels; published (CTT, table 2): 75.07 mIoU.
# mIoU of this implementation: not measured.
_base_ = ['./ctt_deeplabv2_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_4/seed0'))
