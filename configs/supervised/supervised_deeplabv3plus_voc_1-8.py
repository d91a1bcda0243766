# Supervised baseline on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Schedule of the CTT release: SGD 2.5e-4, polynomial decay, 80,000 iterations, 10 labelled crops of
# 321x321 each. The release flips no image; here half of them are flipped, as the paper says.
# mIoU, time and memory: not measured.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
_base_.model.segmentor.decode_head.num_classes = 21
_base_.model.segmentor.data_preprocessor.size = (321, 321)
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
train_dataloader = dict(batch_size=10, sampler=dict(ratio=dict(unlabeled=0)))
