# VAT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV2 R101.
#
# As in the released code of CutMix-Seg: a direction by the teacher, a change that grows with the
# contrast of the image (radius 1), Kullback-Leibler divergence times the ratio of pixels at 0.97 or
# more, weight 0.1, batch norm frozen, Adam with a constant 3e-5 (a tenth of it in the backbone), crops
# of 321, batches of 10 + 10, 40,000 iterations. The colours that newer scripts of the release give the
# student are left out (model.strong_augmentation=[dict(type='ColorJitter')] is near). Our own: the
# gradient is taken at a tenth of the change (the code: 1e-9 H W, which leaves rounding noise), dropout
# as in the teacher's first pass (the code: eval mode), the decoder of the CTT release, as for the other
# methods here, and the first EMA steps weigh the student more (min(1 - 1/(t + 1), 0.99) for 0.99).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Published with this network: none that we could read (with DeepLabV3+ and 92 labels: 36.92).
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/vat/vat_deeplabv2_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adam_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='VirtualAdversarialTeacher',
    segmentor=dict(
        backbone=dict(norm_eval=True),  # batch norm of the pre-trained weights
        decode_head=dict(num_classes=21),
        data_preprocessor=dict(size=(321, 321)),
    ),
    joint_forward=False,
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
