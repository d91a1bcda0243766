# Who teaches whom: mean teacher with ClassMix, one pair, the own teacher labels the student;
# published (CTT, table 5): 61.35 mIoU, which is the figure of the ClassMix paper (60.34 in table 6,
# n = 1).
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_teaching-self.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(supervision='self', num_pairs=1, loss_weights=dict(hc=0, lc=0))
