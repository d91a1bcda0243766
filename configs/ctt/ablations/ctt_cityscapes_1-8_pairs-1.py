# Number of pairs: 1, taught by its own teacher; published (CTT, table 6): 60.34 mIoU. The same run
# as teaching-self.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_pairs-1.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(supervision='self', num_pairs=1, loss_weights=dict(hc=0, lc=0))
