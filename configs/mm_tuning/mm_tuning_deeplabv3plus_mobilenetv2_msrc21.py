# Mix-and-match tuning on MSRC-21, 21 classes, MobileNetV2 from ImageNet weights: the backbone learns from
# 49 masks which patches are of one class. Then:
# stage2/mm_tuning-stage2_deeplabv3plus_mobilenetv2_msrc21.py. Layout: ../_base_/datasets/msrc21.py.
#
# Follows the release: sampling, graph, margin, 9 patches of an image, 4x4 cells. Our own: no class is
# the background, patches of 24 to 96 pixels and 64x64 in the network, AdamW, length.
#
# Results: README.md of this folder.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MixAndMatchTuning',
    segmentor=dict(data_preprocessor=dict(size=(192, 192)), decode_head=dict(num_classes=21)),
    auxiliary_tasks=[dict(type='PatchMatchingTask', background=None, patch_size=64)],
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=dict(unlabeled=0)))
train_cfg = dict(max_iters=1000)
val_evaluator = [dict(type='TaskMetric')]
test_evaluator = [dict(type='TaskMetric')]
