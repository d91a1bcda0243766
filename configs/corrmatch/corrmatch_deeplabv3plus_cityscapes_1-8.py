# CorrMatch on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: 128 regions, weights of the terms, labelled images in the pass of the weak
# view, images resized by 0.5 to 2.0, SGD 0.005 for all layers, weight decay 1e-4. The threshold starts
# at 0.85, that of VOC: the released settings of Cityscapes have none, and its code stops without.
# Corrections: see the CamVid config. Our own: plain cross-entropy on labels (the code mines hard
# pixels), ASPP 6, 12, 18 and dilations 2 and 4 (12, 24, 36; the last stage 4, 8, 16), CutMix with the
# next image of the batch (a second batch), crops of 256x512 of halved images and 80,000 iterations as
# for the other methods here (769x769 of whole images, 240 epochs).
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/corrmatch/corrmatch_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CorrMatch', labeled_pass='weak')
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.005, weight_decay=1e-4))
