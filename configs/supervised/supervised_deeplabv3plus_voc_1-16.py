# The 1-8 config with 1/16 of the augmented set labelled. mIoU of this implementation: not measured.
_base_ = ['./supervised_deeplabv3plus_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_16/seed0'))
