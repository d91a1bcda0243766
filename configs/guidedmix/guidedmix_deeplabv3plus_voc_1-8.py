# GuidedMix-Net on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Mode `released`: features of the ASPP are mixed at random, a second classifier reads them, focal loss
# of weight 10. SGD 0.01 and weight decay 5e-4 as released. Our own: DeepLabV3+ for ASPP alone, crops of
# 321 instead of 512 and 80,000 iterations as for the other methods here.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
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
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    mode='released',
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
