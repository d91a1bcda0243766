# PrevMatch on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code: a past model is stored after each validation with a new best score, 8 are
# kept, 1 to 3 are drawn; no thresholds, labelled images in the pass of the weak view, images resized by
# 0.5 to 2.0, SGD 0.005, weight decay 1e-4. Our own: all pixels of the past models' labels weigh 1 (the
# code: the sum of the images' mean confidences, which grows with the batch), plain cross-entropy on
# labels (it mines hard pixels), CutMix with the next image of the batch (a second batch), output stride
# 8 (16), a validation each 1,000 iterations (240 in the run), and crops of 256x512 of halved images and
# 80,000 iterations as for the other methods here (801x801 of whole images, 240 epochs).
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. The past models are 8 more networks in memory and in each
# checkpoint. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/prevmatch/prevmatch_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='PrevMatch',
    labeled_pass='weak',
    consistency=dict(confidence_threshold=0.0),
    past_consistency=dict(confidence_threshold=0.0),
)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.005, weight_decay=1e-4))
train_cfg = dict(val_interval=1000)
default_hooks = dict(
    past_models=dict(type='PastModelsHook', store='best'), checkpoint=dict(interval=4000)
)
