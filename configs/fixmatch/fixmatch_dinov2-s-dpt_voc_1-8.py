# FixMatch on Pascal VOC with 1/8 of the augmented set (1,323 labels), DINOv2-S with DPT.
#
# As in the released code of UniMatch: threshold 0.95, both terms halved, colours, grey, blur and
# CutMix on the strong view. Our own: no teacher (the FixMatch of UniMatch V2's code has one, which
# the method does not). Network, optimiser, crops, batch and length are those of UniMatch V2's
# released code, so that the two can be compared (configs/unimatch_v2).
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs, with one student; on fewer GPUs
# raise train_dataloader.batch_size, or lower the learning rate. Published figures: none for this
# network. mIoU, time and memory: not measured.
# python tools/train.py configs/fixmatch/fixmatch_dinov2-s-dpt_voc_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='FixMatchSeg', loss_weights=dict(sup=0.5, unsup=0.5))
sizes = dict(crop_size=(518, 518), max_iters=34680)
train_dataloader = dict(batch_size=8)
