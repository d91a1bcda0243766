# Entries per class and bank: V = 256, no cross teaching; published (CTT, table 7): 61.83 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_bank-256.py
_base_ = ['./ctt_cityscapes_1-8_modules-hc-lc.py']
model = dict(bank=dict(size=256))
