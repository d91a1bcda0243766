# Mix-and-match tuning on Cityscapes with 372 masks, ResNet-101 from ImageNet weights. Then:
# stage2/mm_tuning-stage2_deeplabv3plus_cityscapes_1-8.py.
#
# Follows the release: patches of one size at the scale of the image (128 of the full image, 64 of the
# halved one here), 9 patches of each of 16 images, 4x4 cells, margin 2.1; SGD 0.01, a tenth of it from
# iteration 6,000, 8,000 iterations. The release takes class 0, the road, for the background, so that
# a tenth of the patches are of it (background=0); here all classes are objects.
#
# Retrieval, mIoU, time and memory: not measured.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MixAndMatchTuning',
    auxiliary_tasks=[
        dict(type='PatchMatchingTask', background=None, min_size=64, max_size=64, patch_size=64)
    ],
)
train_dataloader = dict(batch_size=16, sampler=dict(ratio=dict(unlabeled=0)))
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [dict(type='MultiStepLR', milestones=[6000], gamma=0.1, by_epoch=False)]
train_cfg = dict(max_iters=8000, val_interval=2000)
val_evaluator = [dict(type='TaskMetric')]
test_evaluator = [dict(type='TaskMetric')]
