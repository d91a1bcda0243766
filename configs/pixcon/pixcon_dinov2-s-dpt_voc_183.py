# PixCon on Pascal VOC with 183 labels of the classic set, DINOv2-S with DPT.
#
# Follows paper and released code: UniMatch V2 with its threshold, dropout, EMA of 0.996 in eval mode and
# halved terms; 64 rightly predicted labelled pixels a class and step, 256 entries of 256 channels a class,
# temperature 0.1, weight 0.1; AdamW 5e-6 and 40 times that beside the backbone, weight decay 0.01, crops
# of 518, 60 epochs of the unlabelled images. Our own: ViT-S (the paper: ViT-B; set `_base_` to
# dinov2-b_dpt.py) with UniMatch V2's decoder, embeddings averaged from stride 1.75 to 7 before the
# projection (the code reads its decoder at that of its own, 1.75), labelled images in the pass of the
# views, images at 0.5 to 1.6 of their size.
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published (DINOv2-B): 87.90 mIoU, mean of 3
# seeds, best epochs. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/pixcon/pixcon_dinov2-s-dpt_voc_183.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='PixCon', teacher_mode='eval', contrast=dict(pool=4))
sizes = dict(crop_size=(518, 518), max_iters=39000)
train_dataloader = dict(batch_size=8, dataset=dict(split='splits/183/seed0'))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
