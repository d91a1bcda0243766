# SemiVL on Pascal VOC with 92 labels of the classic set, CLIP ViT-B/16 with DPT: the 1-8 config, which
# says what it follows and what it leaves out.
#
# Published: 84.0 with its decoder. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/semivl/semivl_clip-vit-b16-dpt_voc_92.py
_base_ = ['./semivl_clip-vit-b16-dpt_voc_1-8.py']
sizes = dict(max_iters=104900)
train_dataloader = dict(dataset=dict(split='splits/92/seed0'))
