# CPS with CutMix on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: weight 1 on the other student's labels (1.5 without CutMix:
# model.strong_augmentation=[] model.loss_weights.cps=1.5), three boxes of a quarter to a half of the
# area, labelled and mixed images in passes of their own, SGD 0.005 (which the code multiplies by the
# number of GPUs, because it divides each loss by that once more), weight decay 1e-4 without norms and
# biases. Our own: CutMix with the neighbour in the batch (the code loads a second batch), output stride
# 8 (the code: 16, the last stage dilated by 2, 4 and 8), crops of 321 instead of 512, images at 0.5 to
# 1.6 of their size (the code: to 2.0), batches of 10 + 10 (16 + 16) and 80,000 iterations, as for the
# other methods here.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published for 1/8 (512x512, as quoted by iMAS): 76.4 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/cps/cps_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossPseudoSupervision',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
)
optim_wrapper = dict(
    optimizer=dict(lr=0.005, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
