# Supervised baseline of MSRC-21, 21 classes: 49 of 394 training images have masks, the network, labels,
# augmentation and labelled images per iteration of the methods; no unlabelled image is drawn.
# Layout: ../_base_/datasets/msrc21.py.
#
# Results, time and memory: README.md of this folder.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['data_preprocessor'].update(size=(192, 192))
model['decode_head'].update(num_classes=21)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
train_cfg = dict(max_iters=1000)
