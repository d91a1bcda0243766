# CTT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Follows the paper: queues of 128, confidence threshold 0.75, contrast once all queues are full. As
# in the released code: loss weights 1, 1, 0.1, 0.1 (first upload), temperatures 0.1 and 0.5,
# teachers in training mode with their own batch-norm statistics, labelled and unlabelled images in
# passes of their own. Our own: one strong view for both students, ClassMix (the release mixes on
# Cityscapes only), and embeddings pooled from stride 4 to 8.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n. The
# paper has no figure for this split with this network. mIoU, time and memory: not measured.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_voc_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_voc_1-8.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    teacher_mode='train',
    joint_forward=False,
    bank=dict(size=128),
    contrast=dict(pool=2),
)
train_dataloader = dict(batch_size=20, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook', buffers=False), dict(type='QueueWarmupHook')]
