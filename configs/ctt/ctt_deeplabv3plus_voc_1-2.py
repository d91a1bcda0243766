# The 1-8 config with 1/2 of the augmented set labelled. mIoU of this implementation: not measured.
_base_ = ['./ctt_deeplabv3plus_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_2/seed0'))
