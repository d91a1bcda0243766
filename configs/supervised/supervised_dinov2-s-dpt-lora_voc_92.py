# Labels only on Pascal VOC with 92 labels of the classic set, DINOv2-S with DPT. The backbone
# trains by LoRA adapters of its attention alone, at the learning rate of the decoder.
#
# All else is that of supervised_dinov2-s-dpt_voc_92.py. Rank, scale and learning rate are our own.
# Published figures: none. mIoU, time and memory: not measured.
# python tools/train.py configs/supervised/supervised_dinov2-s-dpt-lora_voc_92.py
_base_ = ['./supervised_dinov2-s-dpt_voc_92.py']
model = dict(backbone=dict(lora=dict(rank=8, alpha=16, targets=['qkv', 'proj'])))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}))
