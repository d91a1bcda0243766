# Copyright (c) mmseg_ctt contributors.
"""Equivalents of networks of timm, and of the heads that read them, in stock mmseg."""

from typing import Mapping, Tuple

from ...nn.foundation.linear_head import EPS
from .members import State
from .stock_types import PACKAGE, type_name

OWN = ('type', 'final_norm', 'gradient_checkpointing', 'init_cfg')
BATCH_NORMS = ('BN', 'BN2d', 'SyncBN')
APIS = f'load the run with {PACKAGE}.apis, which needs no export'


def stock_backbone(backbone: Mapping) -> dict:
    """Config of mmseg's ``TIMMBackbone``, whose weights have the same names; others are kept.

    Args:
        backbone (Mapping): Config of the backbone.

    Raises:
        ValueError: If its layers are normalised, which that cannot do.
    """
    if type_name(backbone) != 'FoundationBackbone':
        return dict(backbone)
    if backbone.get('final_norm'):
        raise ValueError(
            "model.backbone.final_norm=True: stock mmseg's TIMMBackbone cannot normalise the "
            f'layers of a ViT. Train with final_norm=False, or {APIS}'
        )
    rest = {key: value for key, value in backbone.items() if key not in OWN}
    own = dict(type='TIMMBackbone', features_only=True, feature_cls='getter', pretrained=False)
    return {**own, **rest}


def stock_linear_head(head: Mapping, state: State) -> Tuple[dict, State]:
    """Config and weights of mmseg's ``FCNHead`` without layers that equals a ``LinearHead``.

    The classifier takes up the batch normalisation, as it is in evaluation.

    Args:
        head (Mapping): Config of the decode head.
        state (dict[str, Tensor]): State of the whole segmentor.

    Raises:
        ValueError: If it normalises in another way.
    """
    norm = head.get('norm_cfg') or dict(type='SyncBN')
    if norm.get('type') not in BATCH_NORMS:
        raise ValueError(
            f'model.decode_head.norm_cfg.type={norm.get("type")!r}: a classifier takes up batch '
            f'normalisation alone. {APIS[0].upper()}{APIS[1:]}'
        )
    widths = head['in_channels']
    several = isinstance(widths, (list, tuple))
    rest = {key: value for key, value in head.items() if key not in ('type', 'norm_cfg')}
    own = dict(
        type='FCNHead',
        num_convs=0,
        concat_input=False,
        channels=sum(widths) if several else widths,
        input_transform='resize_concat' if several else None,
    )
    defaults = dict(in_index=-1, dropout_ratio=0.0)
    prefix = 'decode_head.'
    scale, shift, mean, variance = (
        state[f'{prefix}norm.{name}'] for name in ('weight', 'bias', 'running_mean', 'running_var')
    )
    weight, bias = state[f'{prefix}conv_seg.weight'], state[f'{prefix}conv_seg.bias']
    factor = scale / (variance + norm.get('eps', EPS)).sqrt()
    made = {key: value for key, value in state.items() if not key.startswith(f'{prefix}norm.')}
    made[f'{prefix}conv_seg.weight'] = weight * factor[None, :, None, None]
    made[f'{prefix}conv_seg.bias'] = bias + weight[:, :, 0, 0] @ (shift - mean * factor)
    return {**defaults, **rest, **own}, made
