# The 1-8 config with 186 labels.
# Published: 83.6 mIoU, the best epoch; 83.47 in the last epoch of the training log.
# mIoU of this implementation: not measured.
_base_ = ['./unimatch_v2_dinov2-b-dpt_cityscapes_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/1_16/seed0'))
sizes = dict(max_iters=62820)
