# GuidedMix-Net on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Mode `released`: features of the ASPP are mixed at random, a second classifier reads them, focal loss
# of weight 10. As in the released config: SGD 0.01 that decays to 1e-4, weight decay 5e-4, ASPP
# dilations of 12, 24 and 36, photometric distortion of labelled and unlabelled images, corners not
# aligned. Our own: DeepLabV3+ with a decoder of 256 channels (release: ASPP alone, 512), images at 0.5
# to 1.6 of their size (release: a scale of 2048x512 by 0.5 to 2.0), crops of 321 instead of 512 and
# 80,000 iterations as for the other methods here (release: 40,000), of which a class may fill all
# (release: 75 %).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU (release: 4 and 4 on each); with n GPUs
# divide batch_size by n.
# Published figures: none that we could read. mIoU, time and memory: not measured.
# python tools/train.py configs/guidedmix/guidedmix_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='GuidedMixNet',
    segmentor=dict(
        decode_head=dict(num_classes=21, dilations=(1, 12, 24, 36), align_corners=False),
        data_preprocessor=dict(size=(321, 321)),
    ),
    mode='released',
)
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
