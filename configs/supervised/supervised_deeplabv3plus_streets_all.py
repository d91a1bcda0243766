# The 1-8 config with all 400 labels: the most that a semi-supervised method can win back.
_base_ = ['./supervised_deeplabv3plus_streets_1-8.py']
train_dataloader = dict(dataset=dict(split=None, unlabeled=None))
