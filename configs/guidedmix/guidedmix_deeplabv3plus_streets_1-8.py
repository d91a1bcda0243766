# GuidedMix-Net on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Mode `paper`, see the CamVid config; `model.mode=released` does what the released code does.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/guidedmix/guidedmix_deeplabv3plus_streets_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(_delete_=True, type='GuidedMixNet', segmentor=_base_.model, channels_last=True)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook')]
