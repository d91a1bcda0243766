# Fine-tuning on Cityscapes, 372 masks, after mix-and-match tuning of the backbone on the same masks.
#
# MM_TUNED (default: the last checkpoint of ../mm_tuning_deeplabv3plus_cityscapes_1-8.py) is a
# checkpoint of the first stage. Network, data and schedule are those of
# configs/supervised/supervised_deeplabv3plus_cityscapes_1-8.py.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/mm_tuning/stage2/mm_tuning-stage2_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r101-d8.py',
    '../../_base_/datasets/cityscapes.py',
    '../../_base_/schedules/sgd_poly_80k.py',
    '../../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['backbone'].update(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{$MM_TUNED:work_dirs/mm_tuning_deeplabv3plus_cityscapes_1-8/iter_8000.pth}}',
        prefix='students.0.backbone.',
    )
)
train_dataloader = dict(batch_size=2, sampler=dict(ratio=dict(unlabeled=0)))
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.01))
