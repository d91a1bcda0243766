# Copyright (c) mmseg_ctt contributors.
"""Names of the weights of vision transformers in files of Hugging Face's transformers.

They become those of the publisher: DINOv2 and DINOv3 of Facebook Research, else timm's.
"""

import re
from typing import Dict, List, Mapping, Tuple

import torch
from torch import Tensor

Weights = Dict[str, Tensor]

MARK = 'embeddings.'  # in all these files, in no other
_LAYER = re.compile(r'^(?:encoder|model)?\.?layers?\.(\d+)\.(.+)$')
_PROJECTION = re.compile(
    r'^attention\.(?:attention\.)?(query|key|value|[qkv]_proj)\.(weight|bias)$'
)
_EMBEDDINGS = {
    'embeddings.cls_token': 'cls_token',
    'embeddings.mask_token': 'mask_token',
    'embeddings.position_embeddings': 'pos_embed',
    'embeddings.patch_embeddings.projection.': 'patch_embed.proj.',
    'embeddings.patch_embeddings.': 'patch_embed.proj.',
    'layernorm.': 'norm.',
    'norm.': 'norm.',
}
_IN_LAYER: List[Tuple[str, str]] = [  # beginnings of names; ViT, then DINOv2, then DINOv3
    ('layernorm_before.', 'norm1.'),
    ('layernorm_after.', 'norm2.'),
    ('intermediate.dense.', 'mlp.fc1.'),
    ('output.dense.', 'mlp.fc2.'),
    ('attention.output.dense.', 'attn.proj.'),
    ('layer_scale1.lambda1', 'ls1.gamma'),
    ('layer_scale2.lambda1', 'ls2.gamma'),
    ('mlp.weights_in.', 'mlp.w12.'),
    ('mlp.weights_out.', 'mlp.w3.'),
    ('attention.o_proj.', 'attn.proj.'),
    ('mlp.gate_proj.', 'mlp.w1.'),
    ('mlp.down_proj.', 'mlp.fc2.'),
    ('mlp.up_proj.', 'mlp.fc1.'),
]
_GATED = {'mlp.fc1.': 'mlp.w2.', 'mlp.fc2.': 'mlp.w3.'}  # DINOv3 beside a gate


def publisher_names(state: Mapping[str, Tensor]) -> Weights:
    """Weights under the names of their publisher; separate queries, keys and values are joined.

    Args:
        state (Mapping[str, Tensor]): Names such as ``embeddings.cls_token`` and
            ``encoder.layer.0.attention.attention.query.weight`` (ViT, DINOv2) or
            ``layer.0.attention.q_proj.weight`` (DINOv3).

    Returns:
        dict[str, Tensor]: Names such as ``cls_token`` and ``blocks.0.attn.qkv.weight``. Heads and
        poolers are left out.
    """
    rotary = 'embeddings.position_embeddings' not in state  # DINOv3
    registers = 'storage_tokens' if rotary else 'register_tokens'
    names = {**_EMBEDDINGS, 'embeddings.register_tokens': registers}
    made: Weights = {}
    parts: Dict[str, Weights] = {}
    for key, value in state.items():
        layer = _LAYER.match(key)
        if layer is None:
            new = _renamed(key, list(names.items()))
            if new is not None:
                made[new] = value
            continue
        block, name = f'blocks.{layer[1]}.', layer[2]
        projection = _PROJECTION.match(name)
        if projection is not None:
            parts.setdefault(f'{block}attn.qkv.{projection[2]}', {})[projection[1][0]] = value
        else:
            made[block + (_renamed(name, _IN_LAYER) or name)] = value
    for name, found in parts.items():
        if name.endswith('.bias'):  # the keys of DINOv3 have none, which is zero
            found.setdefault('k', torch.zeros_like(next(iter(found.values()))))
        if len(found) == len('qkv'):  # else the file lacks a part, and the weight counts as absent
            made[name] = torch.cat([found[part] for part in 'qkv'])
    return _gated(made)


def _renamed(key: str, names: List[Tuple[str, str]]):
    for old, new in names:
        if key == old or (old.endswith('.') and key.startswith(old)):
            return new + key[len(old) :]
    return None


def _gated(weights: Weights) -> Weights:
    if not any('.mlp.w1.' in name for name in weights):
        return weights
    made: Weights = {}
    for name, value in weights.items():
        for old, new in _GATED.items():
            name = name.replace(old, new)
        made[name] = value
    return made
