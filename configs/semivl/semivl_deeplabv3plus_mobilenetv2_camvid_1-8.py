# SemiVL on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code in the dense guidance: a frozen CLIP ViT-B/16 labels the weak view by
# class texts, confidence 0.9, weight 0.1 that falls to 0; the step around it is that of UniMatch. Left
# out: the language-guided decoder, the start of the student from CLIP. Our own: the texts, images with
# CLIP's own normalisation, a convolutional student and its optimiser, and what configs/unimatch lists.
#
# Files in $PRETRAINED_ROOT (default data/pretrained): clip_vit_b16.pt, CLIP weights, and
# clip_vit_b16_camvid.npz, made of them by
#   python tools/model_converters/clip_text_embeddings.py CLIP.pt OUT.npz --config CONFIG
# Without them the guidance is random, which a warning says: for trying out alone, since its labels are
# noise. mIoU, time and memory: not measured.
# python tools/train.py configs/semivl/semivl_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SemiVL',
    channels_last=True,
    guidance=dict(
        checkpoint='pretrained:clip_vit_b16.pt|random',
        text_file='pretrained:clip_vit_b16_camvid.npz|random',
        texts=[
            'sky',
            ['building', 'house', 'wall'],
            ['pole', 'lamp post'],
            'road',
            ['sidewalk', 'pavement'],
            ['tree', 'bush'],
            'traffic sign',
            'fence',
            ['car', 'van', 'bus', 'truck'],
            ['person', 'pedestrian'],
            ['cyclist', 'bicycle'],
        ],
    ),
)
default_hooks = dict(
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    )
)
