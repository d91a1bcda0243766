# Directional mask of Eq 9: on, no cross teaching; published (CTT, table 9): 62.30 mIoU. The same
# run as modules-hc-lc.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_directional-on.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(ct=0))
