# DMPCT on the left atrium in MR volumes: a network for each of three planes, trained on 8 labelled
# volumes; their fused predictions label 16 others for the next round.
#
# There is no official code. As published: planes, majority with the label of the axial plane where
# all differ, equal weight of labels and pseudo-labels. Our own: students start from the weights of
# their teachers (init='scratch' trains from the beginning, which was worse in short runs), the rule that
# cleans components, number of rounds and of iterations, network, augmentation; see README.md.
#
# Nine trainings of 1,000 iterations. Results of 300 iterations: docs/volume_results.md.
# python tools/self_train.py configs/dmpct/dmpct_deeplabv3plus_mobilenetv2_la3d.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/la3d.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(
    segmentor=dict(data_preprocessor=dict(size=(144, 144)), decode_head=dict(num_classes=2))
)
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=1000)
self_training = dict(type='MultiPlanar', rounds=2, init='teacher')
