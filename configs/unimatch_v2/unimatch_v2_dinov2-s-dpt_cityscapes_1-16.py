# The 1-8 config with 186 labels.
# Published: 79.97 mIoU in the last epoch of the released training log (teacher), best 80.55.
# mIoU of this implementation: not measured.
_base_ = ['./unimatch_v2_dinov2-s-dpt_cityscapes_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_16/seed0'))
sizes = dict(max_iters=62820)
