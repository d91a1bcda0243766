# FixMatch on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in UniMatch's released code, whose baseline it is: threshold 0.95, both terms halved, loss divided
# by all pixels but the padding, colours, grey, blur and CutMix of one box (2 to 40 % of the area, half
# of the images), SGD 0.001 and ten times that in the decoder, weight decay 1e-4, crops of 321. Our own:
# output stride 8 (the code: 16), CutMix with the neighbour in the batch, pseudo-labels from a pass of
# the unlabelled images alone, the strong view in the pass of the labelled images (the code: the other
# way round), images at 0.5 to 1.6 of their size (to 2.0), batches of 10 + 10 (8 + 8) and 80,000
# iterations as for the other methods here (80 epochs).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. Published figures: none that we could read.
# mIoU, time and memory: not measured.
# python tools/train.py configs/fixmatch/fixmatch_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='FixMatchSeg',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    loss_weights=dict(sup=0.5, unsup=0.5),
)
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
