# Fine-tuning on 50 street scenes after mix-and-match tuning of the backbone on the same masks.
#
# MM_TUNED (default: the last checkpoint of ../mm_tuning_deeplabv3plus_streets_1-8.py) is a
# checkpoint of the first stage. Network, data and schedule are those of
# configs/supervised/supervised_deeplabv3plus_streets_1-8.py.
#
# Results: ../README.md.
# python tools/train.py configs/mm_tuning/stage2/mm_tuning-stage2_deeplabv3plus_streets_1-8.py
_base_ = [
    '../../_base_/models/deeplabv3plus_r18-small.py',
    '../../_base_/datasets/streets.py',
    '../../_base_/schedules/adamw_poly_scratch.py',
    '../../_base_/default_runtime.py',
]
model = dict(_delete_=True, **_base_.model.segmentor)  # the network alone
model['backbone'].update(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{$MM_TUNED:work_dirs/mm_tuning_deeplabv3plus_streets_1-8/iter_1200.pth}}',
        prefix='students.0.backbone.',
    )
)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=dict(unlabeled=0)))
