# SegFormer with MiT-B5, and AdamW as mmseg trains it: 6e-5, ten times that in the decoder, no decay of
# norms and positions.
_base_ = ['../models/segformer_mit-b5.py']
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'pos_block': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
            'head': dict(lr_mult=10.0),
        }
    ),
)
