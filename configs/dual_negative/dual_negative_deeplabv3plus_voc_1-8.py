# Dual negative labels on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode, with passes of their own for labelled and
# unlabelled images as in the CTT release. README.md of this folder.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n. The
# paper has no figure for segmentation. mIoU, time and memory: not measured.
# python tools/train.py configs/dual_negative/dual_negative_deeplabv3plus_voc_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_voc_1-8.py']
model = dict(
    _delete_=True,
    type='DualNegativeLabel',
    segmentor=_base_.model,
    teacher_mode='train',
    joint_forward=False,
)
train_dataloader = dict(batch_size=20, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook', buffers=False)]
