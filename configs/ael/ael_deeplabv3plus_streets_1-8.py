# AEL on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Weights and the teacher's training mode follow the released code, the threshold that of its VOC
# configs: with none, as for Cityscapes, the CamVid run collapsed (docs/results.md). Our
# own: a bank that forgets faster (0.99 for 0.999), because the run is short, colours and blur in the
# strong view as in the other methods here, and what README.md of this folder lists.
#
# mIoU, time and memory: not measured. The network passes are those of a mean teacher.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/ael/ael_deeplabv3plus_streets_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(
    _delete_=True,
    type='AEL',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
    confident=0.7,
    bank=dict(momentum=0.99),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook', buffers=False)]
