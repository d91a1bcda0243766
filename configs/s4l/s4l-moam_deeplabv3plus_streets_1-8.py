# S4L with all tasks weighted (MOAM, step 1) on 50 labelled street scenes, from scratch.
#
# As in the released code: 0.4 rotation in all four turns, 0.3 supervised, 0.3 virtual adversarial
# training and 0.3 entropy on unlabelled images. A moving average predicts; its 0.99 has a half-life of
# 69 iterations, about one pass through the unlabelled images (the code: one pass). Our own: the supervised
# loss and virtual adversarial training read upright images (the code: all four turns), and the network
# is not four times wider. Steps 2 and 3, pseudo-labels and fine-tuning, are not part of it.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l-moam_deeplabv3plus_streets_1-8.py
_base_ = ['./s4l_deeplabv3plus_streets_1-8.py']
model = dict(
    loss_weights=dict(sup=0.3),
    auxiliary_tasks=[
        dict(type='RotationTask', weight=0.4, rotations='all'),
        dict(type='AdversarialTask', weight=0.3, radius=0.18),
        dict(type='EntropyTask', weight=0.3),
    ],
    test_cfg=dict(predict_on='teacher0'),
)
