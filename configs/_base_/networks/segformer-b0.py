# SegFormer with MiT-B0, its head with 256 channels; optimiser as in segformer-b5.py.
_base_ = ['./segformer-b5.py']
weights = 'mit_b0_20220624-7e0fe6dd.pth'
model = dict(
    segmentor=dict(
        backbone=dict(
            embed_dims=32,
            num_layers=[2, 2, 2, 2],
            init_cfg=dict(
                checkpoint=f'pretrained:{weights}|https://download.openmmlab.com/'
                f'mmsegmentation/v0.5/pretrain/segformer/{weights}'
            ),
        ),
        decode_head=dict(in_channels=[32, 64, 160, 256], channels=256),
    )
)
del weights
