# CTT on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Formulae and weights follow the paper, the teachers' training mode the released code (in eval mode,
# with averaged statistics, they are sure of nothing for the first few hundred iterations). Our own:
# one strong view for both students, joint batch statistics, queues of 64, embeddings pooled from
# stride 4 to 16, and contrast from iteration 500 at the latest, because the rarest classes hardly
# ever enter their queues early on.
#
# Results, time and memory: README.md of this folder.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_mobilenetv2_camvid_1-8.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
    bank=dict(size=64),
    contrast=dict(pool=4))
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook', buffers=False),
    dict(type='QueueWarmupHook', start_iter=500),
    dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500)
]
