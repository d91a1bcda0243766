# UniMatch on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: no threshold (0.95 in an earlier state of the code), weights 0.5, 0.25 and
# 0.25, labelled images in the pass of the weak view, images resized by 0.5 to 2.0, SGD 0.005, weight decay 1e-4. Our own: plain cross-entropy on
# labels (the code mines hard pixels), CutMix with the next image of the batch, crops of 256x512 of
# halved images and 80,000 iterations as for the other methods here (the code: 801x801 of whole images,
# 240 epochs), and what the VOC config lists.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/unimatch/unimatch_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='UniMatch', labeled_pass='weak', consistency=dict(confidence_threshold=0.0))
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.005, weight_decay=1e-4))
