# Dual negative labels on 50 labelled and 350 unlabelled street scenes, from scratch, on a CPU.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode. README.md of this folder.
#
# mIoU, time and memory: not measured. The paper has no figure for segmentation.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/dual_negative/dual_negative_deeplabv3plus_streets_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(
    _delete_=True,
    type='DualNegativeLabel',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook', buffers=False)]
