# Number of pairs: 2; published (CTT, table 6): 63.69 mIoU. The same run as modules-ct.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_pairs-2.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(hc=0, lc=0))
