# AuxSegNet on Pascal VOC 2012 with image-level tags, as published but for the network: ResNet-101 at
# output stride 8 in the place of WideResNet-38 of 4,096 channels, which mmseg does not have.
#
# As in the released code: frozen batch norm, crops of 321 at 0.7 to 1.3 of the size, 4 rounds of 15
# epochs of batches of 4, SGD 7e-4 with ten times that in the head, polynomial decay, momentum and weight
# decay 0 (what its optimiser does; its text has momentum 0.9 and weight decay 1e-5: set
# optim_wrapper.optimizer.momentum and .weight_decay), first class maps of a classifier at four scales,
# dense CRF of the saliency (pip install 'mmseg_ctt[crf]'). Our own: a scale for each image (the code: for
# each batch), colours, padding that is ignored (the code: background; model.padding='background'), first
# class maps of a classifier on the same network, which is trained with momentum, no dense CRF in tests.
#
# Saliency: one 8 bit PNG for each image of JPEGImages, in the folder that self_training.saliency names; the
# published figures have that of DSS. Published: mIoU 69.0 on val, 68.6 on test. Here: not measured.
# python tools/self_train.py configs/auxsegnet/auxsegnet_r101-d8_voc.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc_tags.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
frozen = dict(type='BN', requires_grad=False)
model = dict(
    type='AuxSegNet',
    segmentor=dict(
        data_preprocessor=dict(size=(321, 321)),
        backbone=dict(norm_cfg=frozen, norm_eval=True),
        decode_head=dict(
            _delete_=True, type='AuxSegHead', in_channels=2048, in_index=3, num_classes=21
        ),
    ),
)
del frozen
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        tagged=dict(
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='LoadMaps',
                    # self_train.py sets the folders; tools/train.py takes those of the config
                    maps=dict(pseudo_label='work_dirs/labels', saliency='work_dirs/saliency'),
                    smooth=('saliency',),
                ),
                dict(
                    type='RandomResize', scale=(500, 500), ratio_range=(0.7, 1.3), keep_ratio=True
                ),
                dict(type='RandomCrop', crop_size=(321, 321)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSemiSegInputs', maps=('pseudo_label', 'saliency')),
            ]
        )
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=7e-4, momentum=0.0, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
sizes = dict(max_iters=39700)
self_training = dict(
    type='AuxSegNet',
    rounds=4,
    saliency='data/VOCdevkit/VOC2012/saliency',
    saliency_refinement='crf',
    normalize_refined=False,
    classifier=dict(optim_wrapper=dict(optimizer=dict(momentum=0.9, weight_decay=5e-4))),
)
