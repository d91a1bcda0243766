# S4L with exemplar on CamVid, the labels of one drive, 0006R0.
#
# As in the released code: crops, noise of colours and batch-hard triplets with a soft margin,
# labelled and unlabelled images averaged. Our own: weight 0.1 (the code: 1), 4 crops of an image and
# 256 channels (the code: 8 and 1,000), and crops are grouped by their image, see docs/methods/s4l.md.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l-exemplar_deeplabv3plus_mobilenetv2_camvid_seq-0006R0.py
_base_ = ['./s4l_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(auxiliary_tasks=[dict(type='ExemplarTask')])
train_dataloader = dict(dataset=dict(split='splits/seq_0006R0'))
