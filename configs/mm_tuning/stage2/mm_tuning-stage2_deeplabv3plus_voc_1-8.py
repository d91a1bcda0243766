# Fine-tuning on Pascal VOC, 1,323 masks, after mix-and-match tuning of the backbone on the same masks.
#
# MM_TUNED (default: the last checkpoint of ../mm_tuning_deeplabv3plus_voc_1-8.py) is a
# checkpoint of the first stage. Network, data and schedule are those of
# configs/supervised/supervised_deeplabv3plus_voc_1-8.py.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/mm_tuning/stage2/mm_tuning-stage2_deeplabv3plus_voc_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r101-d8.py',
    '../../_base_/datasets/voc.py',
    '../../_base_/schedules/sgd_poly_80k.py',
    '../../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['data_preprocessor'].update(size=(321, 321))
model['decode_head'].update(num_classes=21)
model['backbone'].update(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{$MM_TUNED:work_dirs/mm_tuning_deeplabv3plus_voc_1-8/iter_8000.pth}}',
        prefix='students.0.backbone.',
    )
)
train_dataloader = dict(batch_size=10, sampler=dict(ratio=dict(unlabeled=0)))
