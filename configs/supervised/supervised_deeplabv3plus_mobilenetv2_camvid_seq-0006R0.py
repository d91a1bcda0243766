# The 1-8 config with the labels of one drive, 0006R0; the other drives are unlabelled.
# mIoU: not measured; at 120x160 and 1,000 iterations: docs/lab_notebook.md.
_base_ = ['./supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
