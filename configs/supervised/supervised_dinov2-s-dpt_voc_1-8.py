# Labels only on Pascal VOC with 1/8 of the augmented set (1,323 labels), DINOv2-S with DPT.
#
# Follows `supervised.py` of the released code of UniMatch V2: all weights train, AdamW 5e-6 and 40
# times that in the decoder, weight decay 0.01, crops of 518, 60 epochs of the labels repeated to
# 3,000 images. Our own: images at 0.5 to 1.6 of their size (the code: to 2.0); validation images
# are padded to a multiple of 14 pixels (the code resizes them to one).
#
# 8 labelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise train_dataloader.batch_size, or
# lower the learning rate. Published figures: none for this split. mIoU, time and memory of this
# implementation: not measured.
# python tools/train.py configs/supervised/supervised_dinov2-s-dpt_voc_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
sizes = dict(crop_size=(518, 518), max_iters=5580)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=dict(unlabeled=0)))
