# PrevMatch on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# As in the released code: a past model is stored after each validation with a new best score, 8 are
# kept, 1 to 3 are drawn; thresholds 0.95 and 0.9, losses divided by all pixels but the padding,
# labelled images in the pass of the weak view, CutMix with a second unlabelled batch that the student
# labels in eval mode, SGD 0.001 and ten times that in the decoder, weight decay 1e-4, crops of 321,
# batches of 8 + 16, a validation in each eightieth of the run. Our own: the weight of the past models
# changes with each iteration (each epoch), output stride 8 (16), images at 0.5 to 1.6 of their size (to
# 2.0), and 80,000 iterations as for the other methods here (80 epochs).
#
# 8 labelled and 16 unlabelled crops of 321x321 (8 are seen, 8 are partners of CutMix) on one GPU; with
# n GPUs divide batch_size by n. The past models are 8 more networks in memory and in each checkpoint.
# Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/prevmatch/prevmatch_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='PrevMatch',
    labeled_pass='weak',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    strong_augmentation=[
        dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25),
        dict(type='RandomGreyscale'),
        dict(type='GaussianBlur', sigma=(0.1, 2.0)),
        dict(
            type='CutMixing',
            area=(0.02, 0.4),
            aspect=(0.3, 1 / 0.3),
            prob=0.5,
            partner='second_half',
        ),
    ],
)
train_dataloader = dict(batch_size=24, sampler=dict(ratio=dict(labeled=1, unlabeled=2)))
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
train_cfg = dict(val_interval=1000)
default_hooks = dict(
    past_models=dict(type='PastModelsHook', store='best'), checkpoint=dict(interval=4000)
)
