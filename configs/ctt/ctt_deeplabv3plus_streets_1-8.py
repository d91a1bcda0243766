# CTT on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Formulae follow the paper, the teachers' training mode the released code. Our own: one strong
# view for both students, joint batch statistics, teachers that are evaluated with averages of the
# students' statistics, queues of 64, embeddings pooled from stride 4 to 8, a pixel is confident
# from 0.95, and a tenth of the paper's weight on the contrast, from iteration 600: with more of
# it, or earlier, a network trained from scratch for so short a time ends lower; students follow
# the teachers with full weight only after two fifths of the run.
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
    ramp=0.4,
    loss_weights=dict(hc=0.01, lc=0.01),
    bank=dict(size=64),
    contrast=dict(pool=2),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook'), dict(type='QueueWarmupHook', start_iter=600)]
