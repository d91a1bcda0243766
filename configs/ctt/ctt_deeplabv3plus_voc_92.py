# The 1-8 config with 92 labels of the classic set; published (CTT, table 3): 64.00 mIoU.
# mIoU of this implementation: not measured.
_base_ = ['./ctt_deeplabv3plus_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/92/seed0'))
