# Supervised baseline of the left atrium in MR volumes: 8 labelled cases, the network, labels,
# augmentation and labelled slices per iteration of the methods; no unlabelled slice is drawn.
# Layout: ../_base_/datasets/la3d.py. Figures: docs/volume_results.md.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_mobilenetv2_la3d.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/la3d.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['data_preprocessor'].update(size=(144, 144))
model['decode_head'].update(num_classes=2)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
train_cfg = dict(max_iters=1000)
test_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='VolumeMetric')]
