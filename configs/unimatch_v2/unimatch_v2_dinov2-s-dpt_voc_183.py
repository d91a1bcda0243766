# The 92 config with 183 labels of the classic set.
# Published: 85.22 mIoU in the last epoch of the released training log (teacher), best 85.50.
# mIoU of this implementation: not measured.
_base_ = ['./unimatch_v2_dinov2-s-dpt_voc_92.py']
train_dataloader = dict(dataset=dict(split='splits/183/seed0'))
sizes = dict(max_iters=39000)
