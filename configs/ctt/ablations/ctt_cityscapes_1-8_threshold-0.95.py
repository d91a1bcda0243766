# Confidence threshold of Eq 7: 0.95, no cross teaching; published (CTT, table 8): 62.16 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_threshold-0.95.py
_base_ = ['./ctt_cityscapes_1-8_modules-hc-lc.py']
model = dict(contrast=dict(threshold=0.95))
