# Copyright (c) mmseg_ctt contributors.
"""Tiny vision transformers, and their weights under the names of published files."""

import re

import torch

# name in timm, settings of a tiny network
TINY = dict(
    vit_small_patch14_dinov2=dict(
        embed_dim=24, depth=2, num_heads=2, img_size=42, dynamic_img_size=True
    ),
    vit_small_patch14_reg4_dinov2=dict(
        embed_dim=24, depth=2, num_heads=2, img_size=42, dynamic_img_size=True
    ),
    vit_small_patch16_dinov3=dict(embed_dim=24, depth=2, num_heads=2),
    vit_small_patch16_dinov3_qkvb=dict(embed_dim=24, depth=2, num_heads=2),
    vit_small_plus_patch16_dinov3=dict(embed_dim=24, depth=2, num_heads=2),
    vit_tiny_patch16_224=dict(
        embed_dim=24, depth=2, num_heads=2, img_size=48, dynamic_img_size=True
    ),
)


def network(name):
    """Config of the tiny network of that name."""
    return dict(
        type='FoundationBackbone',
        model_name=name,
        out_indices=(0, 1),
        final_norm=True,
        **TINY[name],
    )


def same(state):
    return dict(state)


def prefixed(prefix):
    return lambda state: {f'{prefix}{name}': value for name, value in state.items()}


def dinov2_state(state):
    """The released code of DINOv2: a class token without its position where there are registers."""
    made = dict(state, mask_token=torch.zeros(1, state['cls_token'].shape[-1]))
    if 'reg_token' in made:
        made['register_tokens'] = made.pop('reg_token')
        position = torch.full_like(made['cls_token'], 0.5)
        made['cls_token'] = made['cls_token'] - position
        made['pos_embed'] = torch.cat([position, made['pos_embed']], dim=1)
    return made


def chunked(state):
    """Blocks in chunks of one, as its training script writes them."""
    return {
        re.sub(r'^blocks\.(\d+)\.', r'blocks.\1.\1.', name): value
        for name, value in dinov2_state(state).items()
    }


def dinov3_state(state):
    """The released code of DINOv3: biases of keys are masked, not absent."""
    gated = any('mlp.fc1_g' in name for name in state)
    made = {'mask_token': torch.zeros(1, 24), 'rope_embed.periods': torch.ones(4)}
    for name, value in state.items():
        if name.endswith(('q_bias', 'v_bias')):
            continue
        name = name.replace('reg_token', 'storage_tokens')
        name = name.replace('gamma_1', 'ls1.gamma').replace('gamma_2', 'ls2.gamma')
        if gated:
            for old, new in (('fc1_g', 'w1'), ('fc1_x', 'w2'), ('fc2', 'w3')):
                name = name.replace(f'mlp.{old}.', f'mlp.{new}.')
        made[name] = value
    for name in [name for name in made if name.endswith('attn.qkv.weight')]:
        block = name[: -len('qkv.weight')]
        query = state.get(f'{block}q_bias', torch.zeros(24))
        biases = [query, torch.full_like(query, 9), state.get(f'{block}v_bias', torch.zeros(24))]
        made[f'{block}qkv.bias'] = torch.cat(biases)
        made[f'{block}qkv.bias_mask'] = torch.ones(72)
    return made


def hugging_face_dinov2(state):
    """``Dinov2Model`` and ``Dinov2WithRegistersModel`` of transformers."""
    return _hugging_face(
        dinov2_state(state),
        {
            'patch_embed.proj.': 'embeddings.patch_embeddings.projection.',
            'pos_embed': 'embeddings.position_embeddings',
            'norm.': 'layernorm.',
        },
        'encoder.layer.',
        {
            'attn.proj.': 'attention.output.dense.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
        },
        'attention.attention.{}',
        ('query', 'key', 'value'),
    )


def hugging_face_vit(state):
    """``ViTModel`` of transformers."""
    made = _hugging_face(
        state,
        {
            'patch_embed.proj.': 'embeddings.patch_embeddings.projection.',
            'pos_embed': 'embeddings.position_embeddings',
            'norm.': 'layernorm.',
        },
        'encoder.layer.',
        {
            'norm1.': 'layernorm_before.',
            'norm2.': 'layernorm_after.',
            'attn.proj.': 'attention.output.dense.',
            'mlp.fc1.': 'intermediate.dense.',
            'mlp.fc2.': 'output.dense.',
        },
        'attention.attention.{}',
        ('query', 'key', 'value'),
    )
    return {**prefixed('vit.')(made), 'classifier.weight': torch.zeros(5, 24)}


def hugging_face_dinov3(state):
    """``DINOv3ViTModel`` of transformers; keys have no bias."""
    made = _hugging_face(
        dinov3_state(state),
        {
            'patch_embed.proj.': 'embeddings.patch_embeddings.',
            'storage_tokens': 'embeddings.register_tokens',
            'norm.': 'norm.',
        },
        'layer.',
        {
            'attn.proj.': 'attention.o_proj.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
            'mlp.w1.': 'mlp.gate_proj.',
            'mlp.w2.': 'mlp.up_proj.',
            'mlp.w3.': 'mlp.down_proj.',
            'mlp.fc1.': 'mlp.up_proj.',
            'mlp.fc2.': 'mlp.down_proj.',
        },
        'attention.{}',
        ('q_proj', 'k_proj', 'v_proj'),
    )
    return {name: value for name, value in made.items() if 'k_proj.bias' not in name}


def _hugging_face(state, top, layers, inside, projection, qkv):
    made = {}
    top = {
        'cls_token': 'embeddings.cls_token',
        'mask_token': 'embeddings.mask_token',
        'register_tokens': 'embeddings.register_tokens',
        **top,
    }
    for name, value in state.items():
        block = re.match(r'blocks\.(\d+)\.(.+)', name)
        if block is None:
            old = next((old for old in top if name.startswith(old)), None)
            if old is not None:
                made[top[old] + name[len(old) :]] = value
        elif 'bias_mask' in name:
            continue
        elif 'attn.qkv.' in name:
            for part, tensor in zip(qkv, value.chunk(3)):
                made[f'{layers}{block[1]}.{projection.format(part)}.{name.split(".")[-1]}'] = tensor
        else:
            rest = block[2]
            old = next((old for old in inside if rest.startswith(old)), '')
            made[f'{layers}{block[1]}.{inside.get(old, "")}{rest[len(old) :]}'] = value
    return made


# naming: name in timm, what its file has
NAMINGS = {
    'timm': ('vit_small_patch14_dinov2', same),
    'DINOv2': ('vit_small_patch14_dinov2', dinov2_state),
    'DINOv2, chunks': ('vit_small_patch14_dinov2', chunked),
    'DINOv2, registers': ('vit_small_patch14_reg4_dinov2', dinov2_state),
    'DINOv2, Hugging Face': ('vit_small_patch14_dinov2', hugging_face_dinov2),
    'DINOv2, registers, Hugging Face': ('vit_small_patch14_reg4_dinov2', hugging_face_dinov2),
    'DINOv2, training': (
        'vit_small_patch14_dinov2',
        lambda state: prefixed('backbone.')(dinov2_state(state)),
    ),
    'DINOv3': ('vit_small_patch16_dinov3', dinov3_state),
    'DINOv3, biases': ('vit_small_patch16_dinov3_qkvb', dinov3_state),
    'DINOv3, gated': ('vit_small_plus_patch16_dinov3', dinov3_state),
    'DINOv3, Hugging Face': ('vit_small_patch16_dinov3', hugging_face_dinov3),
    'DINOv3, biases, Hugging Face': ('vit_small_patch16_dinov3_qkvb', hugging_face_dinov3),
    'DINOv3, gated, Hugging Face': ('vit_small_plus_patch16_dinov3', hugging_face_dinov3),
    'ViT, Hugging Face': ('vit_tiny_patch16_224', hugging_face_vit),
    'member of a run': ('vit_tiny_patch16_224', prefixed('timm_model.model.')),
}
