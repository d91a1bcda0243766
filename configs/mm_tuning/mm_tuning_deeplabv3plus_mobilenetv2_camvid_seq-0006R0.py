# The 1-8 config with the labels of one drive, 0006R0. Then:
# stage2/mm_tuning-stage2_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py.
# Results: README.md of this folder.
# python tools/train.py configs/mm_tuning/mm_tuning_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py
_base_ = ['./mm_tuning_deeplabv3plus_mobilenetv2_camvid_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
