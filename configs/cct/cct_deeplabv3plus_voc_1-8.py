# CCT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: the 30 auxiliary decoders and their perturbations, squared difference, weight
# 30 that climbs along a sigmoid in a tenth of the run, SGD 0.01 with a tenth of it in the backbone,
# weight decay 1e-4, crops of 321 (320), batches of 10 + 10, passes apart. Our own: DeepLabV3+ R101 as
# for the other methods here (the code: R50 with pyramid pooling in front of all decoders), so that
# auxiliary decoders read the backbone's features, an adversarial direction at a length of 0.1 (1e-6),
# cut-out in the boxes of connected objects, random numbers of each image (noise and factors of a
# decoder are one for the batch in the code), images at 0.5 to 1.6 of their size, and 80,000 iterations
# (80 epochs).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Published with this network and 92, 183, 366, 732 labels (quoted by CTT): 33.10, 47.60, 58.80, 62.10.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/cct/cct_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossConsistency',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    decoders='published',
    joint_forward=False,
)
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
