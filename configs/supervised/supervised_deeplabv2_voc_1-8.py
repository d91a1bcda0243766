# Supervised baseline on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV2 R101 of
# the CTT release; the decoder learns ten times as fast. Published (CTT, table 2): 67.14 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/supervised/supervised_deeplabv2_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
_base_.model.segmentor.decode_head.num_classes = 21
_base_.model.segmentor.data_preprocessor.size = (321, 321)
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=10, sampler=dict(ratio=dict(unlabeled=0)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
