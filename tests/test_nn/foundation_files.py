# Copyright (c) mmseg_ctt contributors.
"""Files of weights, and backbones of timm that start from them."""

import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from published_names import network

from mmseg_ctt.nn.pretrained import counted_starting_weights


def built(cfg):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(cfg).eval()


def loaded(name, path, **changes):
    """A backbone with the weights of a file, and the lines of its start."""
    return started({**network(name), **changes}, path)


def started(cfg, path):
    """The same of any config."""
    cfg = {**cfg, 'init_cfg': dict(type='Pretrained', checkpoint=str(path))}
    warnings, complete = [], []
    with DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(cfg)
        with counted_starting_weights(backbone, warnings.append, complete.append):
            backbone.init_weights()
    return backbone.eval(), warnings, complete


def written(state, path):
    if path.suffix == '.safetensors':
        from safetensors.torch import save_file

        save_file({name: value.clone().contiguous() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path
