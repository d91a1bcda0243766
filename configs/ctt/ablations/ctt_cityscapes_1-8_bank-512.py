# Entries per class and bank: V = 512, no cross teaching; published (CTT, table 7): 62.36 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_bank-512.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(ct=0), bank=dict(size=512))
