# Mean teacher on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code of CPS, which has a mean teacher for this split: squared difference of the
# probabilities of both batches with weight 100 from the start, the same images for student and
# teacher, the teacher in training mode with its own batch-norm statistics, labelled and unlabelled
# images in passes of their own, SGD 0.005, weight decay 1e-4 without norms and biases. Our own: the
# first EMA steps weigh the student more (min(1 - 1/(t + 1), 0.99) for 0.99), and as for the other
# methods here ResNet-101 (the code: 50) at output stride 8 (16, the last stage dilated by 2, 4 and 8),
# crops of 321 instead of 512, images at 0.5 to 1.6 of their size (to 2.0), batches of 10 + 10 (16 + 16)
# and 80,000 iterations.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Published figures: none for this network. mIoU, time and memory: not measured.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacher',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    strong_augmentation=[],
    ramp_up=0,
    loss_weights=dict(consistency=100.0),
)
optim_wrapper = dict(
    optimizer=dict(lr=0.005, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
