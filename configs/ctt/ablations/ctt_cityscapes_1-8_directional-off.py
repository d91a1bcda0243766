# Directional mask of Eq 9: off, no cross teaching; published (CTT, table 9): 61.69 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_directional-off.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(ct=0), contrast=dict(directional=False))
