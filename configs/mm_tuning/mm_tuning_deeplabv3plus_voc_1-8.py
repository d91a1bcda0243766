# Mix-and-match tuning on Pascal VOC with 1/8 of the augmented set (1,323 masks), ResNet-101 from ImageNet
# weights. Then: stage2/mm_tuning-stage2_deeplabv3plus_voc_1-8.py.
#
# Follows the release (VGG): 9 patches of each of 16 images, a tenth on the background, 128x128 in the
# network, 4x4 cells, margin 2.1; SGD 0.01, a tenth of it from iteration 6,000, 8,000 iterations. The
# release crops 512x512 and patches of 64 to 256; here crops are of 321x321, so patches are of 40 to 160.
# It starts from weights of colourisation and has all masks.
#
# Memory for one GPU; with n GPUs the release has 16 images on each. Retrieval, mIoU, time and memory:
# not measured.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MixAndMatchTuning',
    segmentor=dict(data_preprocessor=dict(size=(321, 321)), decode_head=dict(num_classes=21)),
    auxiliary_tasks=[dict(type='PatchMatchingTask')],
)
train_dataloader = dict(batch_size=16, sampler=dict(ratio=dict(unlabeled=0)))
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [dict(type='MultiStepLR', milestones=[6000], gamma=0.1, by_epoch=False)]
train_cfg = dict(max_iters=8000, val_interval=2000)
val_evaluator = [dict(type='TaskMetric')]
test_evaluator = [dict(type='TaskMetric')]
