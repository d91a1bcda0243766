# Who teaches whom: two mean teachers that learn apart, each on a strong view of its own, averaged
# when predicting; published (CTT, table 5): 61.47 mIoU.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_teaching-ensemble.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(
    supervision='ensemble',
    shared_view=False,
    loss_weights=dict(hc=0, lc=0),
    test_cfg=dict(predict_on='ensemble'),
)
