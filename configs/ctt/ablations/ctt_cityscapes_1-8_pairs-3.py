# Number of pairs: 3, each student learns from the mean loss to the other two teachers; published
# (CTT, table 6): 63.94 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_pairs-3.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(num_pairs=3, loss_weights=dict(hc=0, lc=0))
