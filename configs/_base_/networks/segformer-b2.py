# SegFormer with MiT-B2, its head with 256 channels; optimiser as in segformer-b5.py.
_base_ = ['./segformer-b5.py']
weights = 'mit_b2_20220624-66e8bf70.pth'
model = dict(
    segmentor=dict(
        backbone=dict(
            embed_dims=64,
            num_layers=[3, 4, 6, 3],
            init_cfg=dict(
                checkpoint=f'pretrained:{weights}|https://download.openmmlab.com/'
                f'mmsegmentation/v0.5/pretrain/segformer/{weights}'
            ),
        ),
        decode_head=dict(in_channels=[64, 128, 320, 512], channels=256),
    )
)
del weights
