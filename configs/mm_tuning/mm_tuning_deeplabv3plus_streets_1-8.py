# Mix-and-match tuning on 50 of the 400 street scenes, from scratch, in minutes on a CPU. Then:
# stage2/mm_tuning-stage2_deeplabv3plus_streets_1-8.py.
#
# Follows the release: sampling, graph, margin, 9 patches of an image, 4x4 cells. Our own: no class is
# the background, patches of 16 to 64 pixels and 64x64 in the network, optimiser, length.
#
# Results: README.md of this folder.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MixAndMatchTuning',
    auxiliary_tasks=[dict(type='PatchMatchingTask', background=None, patch_size=64)],
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=dict(unlabeled=0)))
val_evaluator = [dict(type='TaskMetric')]
test_evaluator = [dict(type='TaskMetric')]
