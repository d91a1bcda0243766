# Mean teacher on COCO with 1/512 of the labels (232), DINOv2-S with DPT.
#
# The method follows the paper, as the CamVid config: squared difference of the probabilities with
# weight 1, which climbs over a quarter of the run, and colours and blur on the input of the
# student. Network, optimiser, crops, batch and length are those of UniMatch V2's released code, so
# that the two can be compared (configs/unimatch_v2).
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs, with one student and one teacher;
# on fewer GPUs raise train_dataloader.batch_size, or lower the learning rate. Published figures:
# none for this network. mIoU, time and memory: not measured.
# python tools/train.py configs/mean_teacher/mean_teacher_dinov2-s-dpt_coco_1-512.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MeanTeacher')
sizes = dict(num_classes=81, max_iters=147560)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
