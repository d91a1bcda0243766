# Confidence threshold of Eq 7: 0, no cross teaching; published (CTT, table 8): 60.79 mIoU. Every
# pixel is confident: no low-level contrast.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_threshold-0.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(loss_weights=dict(ct=0), contrast=dict(threshold=0.0))
