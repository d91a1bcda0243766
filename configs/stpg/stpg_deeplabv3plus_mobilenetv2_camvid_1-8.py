# STPG on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Formulae, weights, CutMix without changes of colour, and the evaluated network (the general
# student) follow the released code. Our own: the projection is trained and the memory lies in
# its space, joint batch statistics, one box in CutMix, queues of 64, embeddings pooled from
# stride 4 to 16, anchors matched every 10 iterations, and contrast from iteration 500 at the
# latest, as in the CTT config.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/stpg/stpg_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(
    _delete_=True,
    type='STPG',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
    bank=dict(size=64),
    contrast=dict(pool=4),
    test_cfg=dict(predict_on='student0'),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook', buffers=False),
    dict(type='QueueWarmupHook', start_iter=500),
    dict(type='AnchorAssignmentHook'),
    dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confident=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
]
