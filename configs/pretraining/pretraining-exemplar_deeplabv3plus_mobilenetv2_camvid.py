# Exemplar pre-training on the 367 training images of CamVid, without any label, from scratch: the
# rotation config with another task.
#
# As in S4L (arXiv 1905.03670): several crops of each image with noise of colours, batch-hard triplets
# with a soft margin. Our own: 4 crops and 256 channels (released code: 8 and 1,000), the optimiser.
#
# Retrieval of crops, mIoU after fine-tuning, time and memory: not measured.
# python tools/train.py configs/pretraining/pretraining-exemplar_deeplabv3plus_mobilenetv2_camvid.py
_base_ = ['./pretraining-rotation_deeplabv3plus_mobilenetv2_camvid.py']
model = dict(auxiliary_tasks=[dict(type='ExemplarTask')])
