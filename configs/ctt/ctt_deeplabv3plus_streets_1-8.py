# CTT on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Formulae and loss weights follow the paper, the teachers' training mode the released code. Our own:
# one strong view for both students, joint batch statistics, queues of 64, embeddings pooled from
# stride 4 to 8, a pixel is confident from 0.95, and contrast from iteration 300 at the latest.
#
# Results, time and memory: README.md of this folder.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/ctt/ctt_deeplabv3plus_streets_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
    confident=0.95,
    bank=dict(size=64),
    contrast=dict(pool=2))
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook', buffers=False),
    dict(type='QueueWarmupHook', start_iter=300)
]
