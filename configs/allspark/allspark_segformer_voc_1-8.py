# AllSpark on Pascal VOC with 1/8 of the augmented set (1,323 labels), SegFormer MiT-B5.
#
# As in the released code (mode='released'): neck, memory, its start after 5 of 80 epochs, grouping by
# logits, pseudo-labels in eval mode, both terms halved, no threshold, SGD 0.001 and ten times that in
# neck and decoder, weight decay 1e-4, crops of 513 and batches of 8 + 8. Our own: padding is not learned
# (the code learns it), queues are equal on all GPUs, images at 0.5 to 1.6 of their size (to 2.0),
# labelled images without changes of colour, grey and blur, and 80,000 iterations as for the other
# methods here (80 epochs).
#
# 8 labelled and 8 unlabelled crops of 513x513 on one GPU; with n GPUs divide batch_size by n.
# Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/allspark/allspark_segformer_voc_1-8.py
_base_ = [
    '../_base_/models/segformer_mit-b5.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='AllSpark', mode='released', segmentor=dict(decode_head=dict(num_classes=21)))
sizes = dict(crop_size=(513, 513))
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0), 'neck': dict(lr_mult=10.0)}),
)
