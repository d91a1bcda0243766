# The network of the msrc21-objects_1-8 config with the masks of all 394 training images: the most that
# image-level tags could win back. Background and layout: ../_base_/datasets/msrc21_objects.py.
#
# Results, time and memory: README.md of this folder.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_mobilenetv2_msrc21-objects_all.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21_objects.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['data_preprocessor'].update(size=(192, 192))
model['decode_head'].update(num_classes=16)
train_dataloader = dict(
    batch_size=4, sampler=dict(ratio=dict(unlabeled=0)), dataset=dict(split=None, unlabeled=None)
)
train_cfg = dict(max_iters=1000)
