# Entries per class and bank: V = 0, no bank and no contrast (both weights are 0; without cross
# teaching the labels alone teach); published (CTT, table 7): 56.96 mIoU, the baseline.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_bank-0.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(ct=0, hc=0, lc=0))
