# AuxSegNet on the objects of MSRC-21 with image-level tags, MobileNetV2 from ImageNet weights, for a
# CPU: one command from tags to a network.
#
# Follows paper and released code: three branches, affinity of each task and across tasks, five losses
# of weight 1, rounds from the weights of the round before, the rule that joins class maps and saliency.
# Our own: network at output stride 16, with dilations halved for it, optimiser, sizes, number of rounds
# and of iterations; GrabCut with a centre prior as a stand-in for the saliency of a trained detector,
# pixel-adaptive refinement in the place of a dense CRF; padding is ignored.
#
# The masks of the training images (`self_training.truth`) score the pseudo-labels; nothing is trained
# on them. Results: README.md of this folder.
# python tools/self_train.py configs/auxsegnet/auxsegnet_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21_tags.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AuxSegNet',
    segmentor=dict(
        data_preprocessor=dict(size=(256, 256)),
        decode_head=dict(
            _delete_=True,
            type='AuxSegHead',
            in_channels=320,
            in_index=3,
            dilations=(3, 6, 9),
            num_classes=16,
        ),
    ),
)
sizes = dict(max_iters=400)
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
                    type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.25), keep_ratio=True
                ),
                dict(type='RandomCrop', crop_size=(256, 256)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSemiSegInputs', maps=('pseudo_label', 'saliency')),
            ]
        )
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(val_interval=200)
self_training = dict(
    type='AuxSegNet',
    rounds=2,
    saliency='grabcut',
    scales=(0.5, 1.0),
    refines='classifier',
    refined_object_level=0.4,
    truth='ann_dir/train',
)
