# SemiVL on Cityscapes with 372 labels, CLIP ViT-B/16 with DPT.
#
# As in the released code: dense guidance of a frozen CLIP, images resized by 0.5 to 2.0, AdamW 5e-5, x 10
# in the head and x 0.1 in attention and position embeddings of the backbone. Left out, besides what the VOC
# config lists: convolutions beside the transformer, and the weight by the mean confidence of an image in
# the place of a threshold (0.95 here). Our own: crops of 256x512 of halved images and 80,000 iterations as
# for the other methods here (the code: 801x801 of whole images, 83,760), CutMix with the next image.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU. Files of CLIP: see the CamVid config. Published:
# 79.4 at 801x801 with its decoder. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/semivl/semivl_clip-vit-b16-dpt_cityscapes_1-8.py
_base_ = [
    '../_base_/models/clip-vit-b16_dpt.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SemiVL',
    labeled_pass='weak',
    guidance=dict(
        checkpoint='pretrained:clip_vit_b16.pt|random',
        text_file='pretrained:clip_vit_b16_cityscapes.npz|random',
        texts=[
            'road',
            'sidewalk',
            'building',
            'wall',
            'fence',
            'pole',
            'traffic light',
            'traffic sign',
            'vegetation',
            'terrain',
            'sky',
            'person',
            'rider',
            'car',
            'truck',
            'bus',
            'train',
            'motorcycle',
            'bicycle',
        ],
    ),
)
sizes = dict(ratio_range=(0.5, 2.0), crop_size=(256, 512), num_classes=19, max_iters=80000)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4),  # of the head: 5e-5 x 10
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.0),
            '.attn.qkv': dict(lr_mult=0.01),  # 5e-5 x 0.1
            '.attn.proj': dict(lr_mult=0.01),
            'pos_embed': dict(lr_mult=0.01),
        }
    ),
)
