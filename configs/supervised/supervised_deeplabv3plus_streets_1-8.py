# Supervised baseline on 50 of the 400 street scenes, from scratch, in minutes on a CPU.
#
# Results, time and memory: ../ctt_plus/README.md.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
