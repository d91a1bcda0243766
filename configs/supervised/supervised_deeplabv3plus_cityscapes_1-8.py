# Supervised baseline on Cityscapes with 372 labels, DeepLabV3+ R101, of the methods with that network:
# images resized by 0.5 to 2.0 as theirs, learning rate and weight decay as U2PL's.
# Published figures: none for this size and length. mIoU, time and memory: not measured.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=2, sampler=dict(ratio=dict(unlabeled=0)))
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.01))
