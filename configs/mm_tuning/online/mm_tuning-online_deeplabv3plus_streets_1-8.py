# Patch matching beside the supervised loss in one training on 50 street scenes, from scratch.
#
# Network, labelled images and schedule are those of
# configs/supervised/supervised_deeplabv3plus_streets_1-8.py. S4L draws one unlabelled image a batch, which
# patch matching does not read.
#
# Results: ../README.md.
# python tools/train.py configs/mm_tuning/online/mm_tuning-online_deeplabv3plus_streets_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r18-small.py',
    '../../_base_/datasets/streets.py',
    '../../_base_/schedules/adamw_poly_scratch.py',
    '../../_base_/default_runtime.py',
]
model = dict(
    type='S4L', auxiliary_tasks=[dict(type='PatchMatchingTask', background=None, patch_size=64)]
)
train_dataloader = dict(batch_size=5, sampler=dict(ratio=dict(labeled=4)))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
