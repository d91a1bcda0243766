# Entries per class and bank: V = 128, no cross teaching; published (CTT, table 7): 62.30 mIoU. The
# same run as modules-hc-lc.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_bank-128.py
_base_ = ['./ctt_cityscapes_1-8_modules-hc-lc.py']
