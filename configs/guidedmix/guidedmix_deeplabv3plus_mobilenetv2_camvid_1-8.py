# GuidedMix-Net on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Mode `paper`: images are mixed with the most similar labelled one of the batch, seen through MITrans
# and decoupled. The weights of the terms are our own, the paper's were not available; README.md of
# this folder. `model.mode=released` does what the released code does.
#
# mIoU, time and memory: not measured. Forward passes: labelled, unlabelled and mixed images, all by the
# one student with gradient.
# python tools/train.py configs/guidedmix/guidedmix_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(_delete_=True, type='GuidedMixNet', segmentor=_base_.model, channels_last=True)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook'),
    dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confident=0.95,  # the method itself uses every pixel
        interval=500,
    ),
]
