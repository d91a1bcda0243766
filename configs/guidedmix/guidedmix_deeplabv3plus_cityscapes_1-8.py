# GuidedMix-Net on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released config for 372 labels: mode `released`, SGD 0.01 that decays to 1e-4, weight decay
# 5e-4, labelled ratios below 0.4, images resized by 0.5 to 2.0, photometric distortion of labelled and
# unlabelled images, corners not aligned. Our own: DeepLabV3+ with a decoder of 256 channels (release:
# ASPP alone, 512), crops of 256x512 of halved images and 80,000 iterations as for the other methods
# here (release: 769x769 of whole images, 40,000), of which a class may fill all (release: 75 %). ASPP
# dilations are halved with the images: 6, 12 and 18 for the release's 12, 24 and 36, of which 36 is
# more than the height of these crops at stride 8.
#
# 2 labelled and 2 unlabelled crops of 256x512 on one GPU (release: as many on each); with n GPUs divide
# batch_size by n.
# Published figures: none that we could read. mIoU, time and memory: not measured.
# python tools/train.py configs/guidedmix/guidedmix_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='GuidedMixNet',
    segmentor=dict(decode_head=dict(align_corners=False)),
    mode='released',
    ratio_limit=0.4,
)
sizes = dict(ratio_range=(0.5, 2.0))
train_dataloader = dict(
    dataset={
        source: dict(pipeline=[*steps[:-1], dict(type='PhotoMetricDistortion'), steps[-1]])
        for source, steps in [
            ('labeled', _base_.train_dataloader.dataset.labeled.pipeline),
            ('unlabeled', _base_.train_dataloader.dataset.unlabeled.pipeline),
        ]
    }
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, end=80001, by_epoch=False)]
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
