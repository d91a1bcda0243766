# The 1-8 config with all 367 labels: the most that a semi-supervised method can win back.
_base_ = ['./supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
train_dataloader = dict(dataset=dict(split=None, unlabeled=None))
