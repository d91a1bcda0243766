# The 1-8 config with the labels of one drive, 0006R0; the other drives are unlabelled.
# Results: ../README.md.
_base_ = ['./mm_tuning-online_deeplabv3plus_mobilenetv2_camvid_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
