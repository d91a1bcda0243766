# CTT with rotation prediction beside it, on 50 street scenes with labels: the config of CTT and one more
# line. The line works with every method (docs/guide/auxiliary_tasks.md).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/ctt/ctt-rotation_deeplabv3plus_streets_1-8.py
_base_ = ['./ctt_deeplabv3plus_streets_1-8.py']
model = dict(auxiliary_tasks=[dict(type='RotationTask')])
