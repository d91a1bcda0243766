# The 1-8 config with the labels of one drive, 0006R0; MM_TUNED defaults to the last checkpoint of
# ../mm_tuning_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py.
# Results: ../README.md.
# python tools/train.py configs/mm_tuning/stage2/mm_tuning-stage2_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py
_base_ = ['./mm_tuning-stage2_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='{{$MM_TUNED:work_dirs/mm_tuning_deeplabv3plus_mobilenetv2_camvid_seq-0006R0/iter_1000.pth}}'
        )
    )
)
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
