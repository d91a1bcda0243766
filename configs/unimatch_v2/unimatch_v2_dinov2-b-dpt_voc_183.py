# The 92 config with 183 labels of the classic set.
# Published: 87.9 mIoU, the best epoch; 87.40 in the last epoch of the training log.
# mIoU of this implementation: not measured.
_base_ = ['./unimatch_v2_dinov2-b-dpt_voc_92.py']
train_dataloader = dict(dataset=dict(split='splits/183/seed0'))
sizes = dict(max_iters=39000)
