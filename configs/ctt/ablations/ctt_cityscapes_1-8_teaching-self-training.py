# Who teaches whom: self-training, a teacher trained on the labels alone and then frozen labels a
# fresh student; published (CTT, table 5): 60.75 mIoU. The labels are made crop by crop, not once
# per image; mixing is off. README.md of this folder says how the teacher gets here.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_teaching-self-training.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(
    supervision='self',
    num_pairs=1,
    teacher_mode='eval',
    frozen_teachers=True,
    strong_augmentation=[dict(type='ColorJitter'), dict(type='GaussianBlur')],
    consistency=dict(confidence_threshold=0.0),
    loss_weights=dict(hc=0, lc=0),
    test_cfg=dict(predict_on='student0'),
)
default_hooks = dict(teacher_ema=None)  # the teacher stays as it is
load_from = 'work_dirs/self_training_teacher.pth'
