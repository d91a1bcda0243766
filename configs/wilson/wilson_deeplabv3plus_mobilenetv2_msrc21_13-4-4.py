# WILSON on MSRC-21 in three steps: 13 classes with masks, then 4 and 4 from tags, 200 iterations each;
# otherwise as wilson_deeplabv3plus_mobilenetv2_msrc21.py, whose step 0 is the same training:
# --cfg-options self_training.first_checkpoint=work_dirs/.../step0/iter_400.pth
#     self_training.first_training=None
# Results: README.md.
# python tools/self_train.py configs/wilson/wilson_deeplabv3plus_mobilenetv2_msrc21_13-4-4.py
_base_ = './wilson_deeplabv3plus_mobilenetv2_msrc21.py'
train_cfg = dict(max_iters=200, val_interval=200)
self_training = dict(
    steps=[
        _base_.self_training.steps[0],
        ['flower', 'sign', 'bird', 'book'],
        ['chair', 'cat', 'dog', 'boat'],
    ]
)
