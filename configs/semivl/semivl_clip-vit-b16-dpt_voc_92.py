# SemiVL on Pascal VOC with 92 labels of the classic set, CLIP ViT-B/16 with DPT.
#
# As in the released code: dense guidance of a frozen CLIP (confidence 0.9, weight 0.1 that falls to 0,
# divided by all pixels), threshold 0.95, labelled images in the pass of the weak view, CutMix with a second
# unlabelled batch that the student labels in eval mode, start from CLIP weights, of which attention and
# position embeddings alone train, AdamW with 1e-6 there and 1e-3 in the head, weight decay 0.01, crops of
# 512, 80 epochs. Left out: the language-guided decoder (a DPT head is in its place) and class definitions
# (each class has its name; several texts a class work). Our own: CLIP's activation and normalisation of
# images (the code: GELU, ImageNet's), images at 0.5 to 1.6 of their size (to 2.0), validation on whole
# images (the code: windows).
#
# 2 labelled and 4 unlabelled crops of 512x512 (2 are seen, 2 are partners of CutMix) on each of 4 GPUs.
# Files of CLIP: see the CamVid config. Published: 84.0 with its decoder. mIoU, time and memory of this
# implementation: not measured.
# python tools/train.py configs/semivl/semivl_clip-vit-b16-dpt_voc_92.py
_base_ = [
    '../_base_/models/clip-vit-b16_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SemiVL',
    labeled_pass='weak',
    strong_augmentation=[
        dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25),
        dict(type='RandomGreyscale'),
        dict(type='GaussianBlur', sigma=(0.1, 2.0)),
        dict(
            type='CutMixing',
            area=(0.02, 0.4),
            aspect=(0.3, 1 / 0.3),
            prob=0.5,
            partner='second_half',
        ),
    ],
    guidance=dict(
        checkpoint='pretrained:clip_vit_b16.pt|random',
        text_file='pretrained:clip_vit_b16_voc.npz|random',
        texts=[
            'background',
            'aeroplane',
            'bicycle',
            'bird',
            'boat',
            'bottle',
            'bus',
            'car',
            'cat',
            'chair',
            'cow',
            'dining table',
            'dog',
            'horse',
            'motorbike',
            'person',
            'potted plant',
            'sheep',
            'sofa',
            'train',
            'tv monitor',
        ],
    ),
)
sizes = dict(crop_size=(512, 512), max_iters=104900)
train_dataloader = dict(
    batch_size=6,
    sampler=dict(ratio=dict(labeled=1, unlabeled=2)),
    dataset=dict(split='splits/92/seed0'),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),  # of the head: 1e-4 x 10
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.0),
            '.attn.qkv': dict(lr_mult=1e-3),  # 1e-4 x 0.01
            '.attn.proj': dict(lr_mult=1e-3),
            'pos_embed': dict(lr_mult=1e-3),
        }
    ),
)
