# Confidence threshold of Eq 7: 0, no cross teaching; published (CTT, table 8): 60.79 mIoU. Every
# pixel is confident: no low-level contrast.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_threshold-0.py
_base_ = ['./ctt_cityscapes_1-8_modules-hc-lc.py']
model = dict(contrast=dict(threshold=0.0))
