# Mix-and-match tuning on CamVid, MobileNetV2 from ImageNet weights: between pre-training and fine-tuning
# the backbone learns from the 46 masks which patches are of one class. Then:
# stage2/mm_tuning-stage2_deeplabv3plus_mobilenetv2_camvid_1-8.py. From scratch:
#   --cfg-options model.segmentor.backbone.init_cfg=None
#
# Follows the release: sampling, graph, margin, 9 patches of an image, 4x4 cells. Our own: no class is
# the background, patches of an eighth to a half of the crop and 64x64 in the network, AdamW, length.
# Validation is the retrieval of patches: the nearest one of another image is of the same class.
#
# Results: README.md of this folder.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MixAndMatchTuning',
    auxiliary_tasks=[dict(type='PatchMatchingTask', background=None, patch_size=64)],
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=dict(unlabeled=0)))
train_cfg = dict(max_iters=1000)
val_evaluator = [dict(type='TaskMetric')]
test_evaluator = [dict(type='TaskMetric')]
