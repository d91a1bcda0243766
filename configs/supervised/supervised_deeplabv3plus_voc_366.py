# The 1-8 config with 366 labels of the classic set; published (CTT, table 3): 60.37 mIoU.
# mIoU of this implementation: not measured.
_base_ = ['./supervised_deeplabv3plus_voc_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/366/seed0'))
