# AllSpark on Cityscapes with 372 labels, SegFormer MiT-B5.
#
# As in the released code (mode='released'): neck, memory, its start after 15 of 240 epochs, grouping by
# logits, pseudo-labels in eval mode, both terms halved, no threshold, images resized by 0.5 to 2.0, SGD
# 0.005 for all layers, weight decay 1e-4. Our own: plain cross-entropy on labels (the code mines hard
# pixels), crops of 256x512 of halved images and 80,000 iterations as for the other methods here (the
# code: 801x801 of whole images, 240 epochs), and what the VOC config lists.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/allspark/allspark_segformer_cityscapes_1-8.py
_base_ = [
    '../_base_/models/segformer_mit-b5.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='AllSpark', mode='released')
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.005, weight_decay=1e-4))
