# Context-aware consistency on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: what the VOC config lists but for the learning rate, negatives of this step
# alone, SGD 0.01 and ten times that beside the backbone. Our own: crops of 192x384 cut from crops of
# 256x512 of halved images, which are resized by 0.5 to 2.0 (the code: 720x720 from images of 0.8 to 2 times
# their size), output stride 8 (the code: 16), batches of 2 + 2 (8 + 8), and 80,000 iterations as for the
# other methods here (the code: 92,560).
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU; with n GPUs set model.bank to n times the size
# and the budget, so that all pixels of a step enter.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/cac/cac_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ContextAwareConsistency',
    joint_forward=False,
    bank=dict(size=4608, budget=4608),  # 4 crops of 24x48 features
    contrast=dict(pool=2),
)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys={'decode_head': dict(lr_mult=10.0), 'contrast': dict(lr_mult=10.0)}
    ),
)
