# Group-wise semantic mining on VOC 2012 with tags, as published: VGG-16 of output stride 8.
#
# Follows the released code: network and starting weights, three 3x3 convolutions of 512 channels, groups
# of 3, three rounds, graph dropout, losses, a batch of one group, SGD with Nesterov momentum, learning
# rate 1e-3, times 2 for biases, 10 for new weights and 20 for new biases, divided by 10 after 5 and 10
# of 15 epochs of 10,582 groups; the shorter side of images is 256. Our own: images of a group are one
# tensor, so they are cropped to 256x256; colours change as in mmseg; the images of a group are different
# ones (released: train_dataloader.sampler.distinct=False), and graph dropout is off in evaluation
# (released: model.group_graph.drop_in_eval=True).
#
# Weights: vgg16-397923af.pth of torchvision, in $PRETRAINED_ROOT (default data/pretrained).
# mIoU, time and memory: not measured.
# python tools/train.py configs/group_wsss/group_wsss_vgg16_voc.py
_base_ = ['../_base_/datasets/voc_tags.py', '../_base_/default_runtime.py']
model = dict(
    type='GroupSemanticMining',
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(256, 256),
        ),
        backbone=dict(
            type='DilatedVGG',
            init_cfg=dict(
                type='Pretrained', checkpoint='pretrained:vgg16-397923af.pth|torchvision://vgg16'
            ),
        ),
        decode_head=dict(
            type='ClassMapHead',
            in_channels=512,
            in_index=0,
            num_convs=3,
            num_classes=21,
            align_corners=False,
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
)
train_dataloader = dict(
    batch_size=3,
    sampler=dict(_delete_=True, type='GroupSampler', ratio=dict(tagged=3)),
    dataset=dict(
        tagged=dict(
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='ResizeShortestEdge', scale=256, max_size=10000),
                dict(type='RandomCrop', crop_size=(256, 256)),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ]
        )
    ),
)
new_biases = (
    *(f'decode_head.convs.{i}.conv.bias' for i in range(3)),
    'decode_head.conv_seg.bias',
    *(f'group_graph.{name}.bias' for name in ('query', 'key', 'join')),
    *(f'group_graph.update.{name}.bias' for name in ('gates', 'candidate')),
)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True),
    paramwise_cfg=dict(
        bias_lr_mult=2,
        custom_keys={
            **{name: dict(lr_mult=20) for name in new_biases},
            'decode_head': dict(lr_mult=10),
            'group_graph': dict(lr_mult=10),
        },
    ),
)
del new_biases
param_scheduler = [dict(type='MultiStepLR', milestones=[52910, 105820], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=158730, val_interval=10582)
