# PS-MT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: two teachers in turns of an epoch, the mean of their logits, colours, grey,
# blur and CutMix, features of labelled and unlabelled images changed by the teachers' decoders (length
# 2), cross-entropy weighted by confidence of pixels at 0.6 or more, weight 1.5 that climbs along half a
# cosine in 15 % of the run, EMA of 0.996 with batch-norm statistics, weight decay 1e-4, and the learning
# rate of 0.0025 of a GPU with 8 + 8 crops, here 0.0031 for 10 + 10, labelled and unlabelled
# images in passes of their own. Our own: output stride 8 (the code: 16), crops of 321 (512), 80,000
# iterations as for the other methods here (80 epochs), images at 0.5 to 1.6 of their size (to 2.0),
# labelled images without strong colours, and what the CamVid config lists.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n, and
# leave two unlabelled images on each. An epoch of 9,259 unlabelled images is 926 updates.
# Published (official README, DeepLabV3+ R101): 78.20 mIoU, of the mean of both teachers.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/ps_mt/ps_mt_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='PSMT',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    period=926,
    joint_forward=False,
)
optim_wrapper = dict(optimizer=dict(lr=0.0031, weight_decay=1e-4))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
