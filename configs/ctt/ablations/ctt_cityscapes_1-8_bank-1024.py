# Entries per class and bank: V = 1024, no cross teaching; published (CTT, table 7): 60.85 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_bank-1024.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(
    loss_weights=dict(ct=0),
    bank=dict(size=1024, budget=5),  # the release's rule: int(2 * 1024 / 372 labels)
)
