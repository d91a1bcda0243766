# A supervised network on the consensus of two raters, each pixel weighted by its margin: retinal
# vessels (DRIVE), ten images. Masks and margins are written once before:
#   python tools/consensus/fuse_annotations.py data/drive/img_dir/val data/drive/ann_dir/val \
#       data/drive/ann_dir_rater2/val --out data/drive/fused --meta data/drive/meta.json
#
# Labels of the same masks by other strategies (README.md): random, majority, staple, soft.
# python tools/train.py configs/consensus/consensus_deeplabv3plus_mobilenetv2_drive.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/drive.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(size=(256, 256)),
        decode_head=dict(
            num_classes=2,
            loss_decode=dict(type='PixelCrossEntropyLoss', weight_map='consensus_margin'),
        ),
    )
)
train_dataloader = dict(batch_size=4)
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice']),
    dict(type='RaterAgreementMetric', raters=['first', 'second']),
]
test_evaluator = val_evaluator
