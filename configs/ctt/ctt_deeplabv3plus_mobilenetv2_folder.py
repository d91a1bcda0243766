# CTT on your own folder of images; layout in ../_base_/datasets/folder.py, settings as in the CamVid
# config. Set num_classes to the number of classes in meta.json. mIoU, time and memory: yours to
# measure.
# FOLDER_ROOT=data/mine python tools/train.py configs/ctt/ctt_deeplabv3plus_mobilenetv2_folder.py \
#     --cfg-options model.segmentor.decode_head.num_classes=5
_base_ = ['../supervised/supervised_deeplabv3plus_mobilenetv2_folder.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    teacher_mode='train',
    joint_forward='students',
    channels_last=True,
    loss_weights=dict(hc=0.01, lc=0.01),
    class_thresholds=dict(),
    ramp=0.4,
    bank=dict(size=64),
    contrast=dict(pool=4),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook'),
    dict(type='QueueWarmupHook', start_iter=500),
    dict(type='DistributionAlignmentHook', temperature=0.5, uniform_start=False, only_raise=True),
]
