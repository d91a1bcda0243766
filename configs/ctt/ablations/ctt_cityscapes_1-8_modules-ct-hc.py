# Modules: cross teaching and high-level contrast; published (CTT, table 4): 63.97 mIoU (read from
# the order of the rows).
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_modules-ct-hc.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(lc=0))
