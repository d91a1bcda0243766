# Copyright (c) mmseg_ctt contributors.
"""Labels-only configs with frozen and adapted backbones: one setting beside the full ones."""

import copy
import re

import pytest
from leaves import LEAVES, leaf, shrink
from mmseg.registry import MODELS

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.nn.lora import is_adapter

TUNED = sorted(name for name in LEAVES if re.search('-(frozen|lora)_', name))


def full(name):
    return re.sub('-(frozen|lora)_', '_', name)


def test_every_full_config_has_both():
    assert TUNED and len(TUNED) == 2 * len({full(name) for name in TUNED})


@pytest.mark.parametrize('name', TUNED)
def test_the_backbone_differs_and_nothing_else(name):
    cfg, other = leaf(name), leaf(full(name))
    backbone, plain = dict(cfg.model.backbone), other.model.backbone
    own = {key: backbone.pop(key) for key in set(backbone) - set(plain)}
    assert backbone == plain and set(own) == {'lora' if '-lora_' in name else 'frozen'}
    keys = {*cfg.keys()} - {'model', 'optim_wrapper'}
    assert all(cfg[key] == other[key] for key in keys)
    assert cfg.optim_wrapper.optimizer == other.optim_wrapper.optimizer


@pytest.mark.parametrize('name', [name for name in TUNED if 'voc_92' in name])
def test_what_trains(name):
    cfg = copy.deepcopy(leaf(name))
    shrink(cfg)
    model = MODELS.build(prepare_config(cfg).model)
    for weight_name, weight in model.named_parameters():
        head = weight_name.startswith('decode_head.')
        assert weight.requires_grad == (head or is_adapter(weight_name)), weight_name
    assert any(map(is_adapter, model.state_dict())) == ('-lora_' in name)
