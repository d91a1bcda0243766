# Group-wise semantic mining on the objects of MSRC-21, MobileNetV2 from ImageNet weights, for a CPU: an
# image classifier that learns from the tags of 394 images in groups of three that share objects.
#
# Follows the released code: groups of 3, three rounds, graph dropout, losses. Our own: network (the
# paper: VGG-16) without convolutions before the class maps, which take longer to learn than this run
# (num_convs=3 as published), the unit of class maps in the graph (released: map_scale=1), four groups a
# batch, optimiser, sizes and crops; the images of a group are different ones, and graph dropout is off
# in evaluation. The mIoU that a validation prints is of the maps of single images, without tags,
# against a constant background.
#
# Results: README.md of this folder.
# python tools/train.py configs/group_wsss/group_wsss_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21_tags.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='GroupSemanticMining',
    group_graph=dict(map_scale=20.0),
    segmentor=dict(
        decode_head=dict(
            _delete_=True, type='ClassMapHead', in_channels=320, in_index=3, num_classes=16
        )
    ),
)
# four groups a batch: fewer tags in a batch teach the classifier worse
train_dataloader = dict(
    batch_size=12, sampler=dict(_delete_=True, type='GroupSampler', ratio=dict(tagged=3))
)
# tags are of whole images, so crops show most of an image
sizes = dict(crop_size=(256, 256), ratio_range=(0.8, 1.25), max_iters=400)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(val_interval=400)
