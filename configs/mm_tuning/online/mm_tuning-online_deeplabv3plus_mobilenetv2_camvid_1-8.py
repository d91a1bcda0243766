# Patch matching beside the supervised loss in one training on CamVid, 46 masks, MobileNetV2 from ImageNet
# weights: mix-and-match tuning as an auxiliary task in the place of a stage. The task works in the same
# way beside every method, with this one line in `model`.
#
# Network, labelled images and schedule are those of
# configs/supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py. S4L has the supervised loss and the
# tasks alone; it draws one unlabelled image a batch, which patch matching does not read.
#
# Results: ../README.md.
# python tools/train.py configs/mm_tuning/online/mm_tuning-online_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/schedules/adamw_poly.py',
    '../../_base_/default_runtime.py',
]
model = dict(
    type='S4L', auxiliary_tasks=[dict(type='PatchMatchingTask', background=None, patch_size=64)]
)
train_dataloader = dict(batch_size=5, sampler=dict(ratio=dict(labeled=4)))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
