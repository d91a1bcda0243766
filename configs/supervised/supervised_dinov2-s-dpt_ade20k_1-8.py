# Labels only on ADE20K with 1/8 of the labels (2,526), DINOv2-S with DPT.
#
# Follows `supervised.py` of the released code of UniMatch V2: all weights train, AdamW 5e-6 and 40
# times that in the decoder, weight decay 0.01, crops of 518, 60 epochs of the labels repeated to
# 6,000 images. Our own: validation images are padded to a multiple of 14 pixels (the code resizes
# them to one).
#
# 4 labelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise train_dataloader.batch_size, or
# lower the learning rate. Published (released log of UniMatch V2): 39.74 mIoU in the last epoch,
# best 39.83; UniMatch V2 itself 44.16. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/supervised/supervised_dinov2-s-dpt_ade20k_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
sizes = dict(num_classes=150, max_iters=22500)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
