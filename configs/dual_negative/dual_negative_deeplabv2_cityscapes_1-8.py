# Dual negative labels on Cityscapes with 372 labels, DeepLabV2 R101 of the CTT release.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode, with passes of their own for labelled and
# unlabelled images as in the CTT release. README.md of this folder.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. The paper has no figure for segmentation. mIoU, time and
# memory: not measured.
# python tools/train.py configs/dual_negative/dual_negative_deeplabv2_cityscapes_1-8.py
_base_ = ['../supervised/supervised_deeplabv2_cityscapes_1-8.py']
model = dict(
    _delete_=True,
    type='DualNegativeLabel',
    segmentor=_base_.model,
    teacher_mode='train',
    joint_forward=False,
)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook', buffers=False)]
