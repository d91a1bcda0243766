# Supervised baseline on Cityscapes with 372 labels, DeepLabV2 R101 and mean colour of the CTT release;
# the decoder learns ten times as fast. Published (CTT, table 1): 57.74 mIoU, at 512x1024.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/supervised/supervised_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
_base_.model.segmentor.data_preprocessor.mean = [73.15835921, 82.90891754, 72.39239876]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=2, sampler=dict(ratio=dict(unlabeled=0)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
