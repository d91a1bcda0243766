# SemiVL: UniMatch with labels of a frozen CLIP, whose files lie in $PRETRAINED_ROOT (random without them).
# Set model.guidance.texts to a text of each class.
model = dict(
    type='SemiVL',
    guidance=dict(
        checkpoint='pretrained:clip_vit_b16.pt|random',
        text_file='pretrained:clip_vit_b16_texts.npz|random',
    ),
)
