# ECOCSeg on Pascal VOC with 183 labels of the classic set, DINOv2-S with DPT.
#
# Follows the paper in the words of bits, the reliable bits and the losses of bits, as in the CamVid config.
# The released code has no semi-supervised training: the step, learning rates, crops of 518 and the length
# of the run are those of the config of UniMatch V2 beside it, whose header says what they follow.
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: 86.6 mIoU. mIoU, time and memory of
# this implementation: not measured.
# python tools/train.py configs/ecocseg/ecocseg_dinov2-s-dpt_voc_183.py
_base_ = ['./ecocseg_dinov2-s-dpt_voc_92.py']
train_dataloader = dict(dataset=dict(split='splits/183/seed0'))
sizes = dict(max_iters=39000)
