# Who teaches whom: self-training, a teacher trained on the labels alone and then frozen labels a
# fresh student; published (CTT, table 5): 60.75 mIoU. The labels are made crop by crop, not once
# per image; mixing is off. README.md of this folder says how the teacher gets here.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_teaching-self-training.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(
    teaching='self',
    num_pairs=1,
    teacher_mode='eval',
    confident=0.0,
    strong_view=dict(mix=None),
    loss_weights=dict(hc=0, lc=0),
    test_cfg=dict(predict_on='student0'),
)
custom_hooks = [dict(type='QueueWarmupHook')]  # nothing moves the teacher
load_from = 'work_dirs/self_training_teacher.pth'
