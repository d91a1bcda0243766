# Supervised baseline of the CTT run on CamVid: the same network, labels, augmentation and number of
# labelled images per iteration; no unlabelled image is drawn.
#
# Results, time and memory: README.md of this folder.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
