# The second stage with pixels weighted by the confidence of their pseudo-label (ours): the class map, or
# 1 - the highest class map for the background.
_base_ = ['./cam-stage2_deeplabv3plus_mobilenetv2_msrc21.py']
model = dict(decode_head=dict(loss_decode=dict(weight_map='confidence')))
steps = list(_base_.train_dataloader.dataset.labeled.pipeline)
train_dataloader = dict(
    dataset=dict(
        labeled=dict(
            pipeline=[
                steps[0],
                dict(
                    type='LoadMaps',
                    maps=dict(confidence='{{$PSEUDO_LABELS:work_dirs/cam_labels}}/confidence'),
                    smooth=('confidence',),
                ),
                *steps[1:-1],
                dict(type='PackSemiSegInputs', maps=('confidence',)),
            ]
        )
    )
)
del steps
