# Copyright (c) mmseg_ctt contributors.
"""Adapters of low rank: the formula, the names of the weights, merging, and errors."""

import copy

import pytest
import torch
from torch import nn

from mmseg_ctt.nn.lora import LoRA, LoRALinear, add_lora, is_adapter, merge_adapters

KEY = 'backbone.lora'
SETTINGS = LoRA(rank=2, alpha=6.0, targets=('qkv', 'attn.proj'))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(4, 12, bias=False), nn.Linear(12, 4)

    def forward(self, x):
        return self.proj(self.qkv(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.proj = Attention(), nn.Linear(4, 4)

    def forward(self, x):
        return self.proj(self.attn(x))


@pytest.fixture
def pair():
    """A plain network and an adapted copy of it, whose adapters are not zero."""
    torch.manual_seed(0)
    plain = nn.Sequential(Block(), Block())
    adapted = copy.deepcopy(plain)
    assert add_lora(adapted, SETTINGS, KEY) == 4
    return plain, adapted


def trained(network):
    for name, weight in network.named_parameters():
        if is_adapter(name):
            nn.init.normal_(weight, std=0.3)
    return network


def test_starts_as_the_plain_network_under_its_names(pair):
    plain, adapted = pair
    x = torch.randn(3, 5, 4)
    assert torch.equal(adapted(x), plain(x))
    kept = {n: w for n, w in adapted.state_dict().items() if not is_adapter(n)}
    assert kept.keys() == plain.state_dict().keys()
    missing, unexpected = adapted.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(map(is_adapter, missing)) and len(missing) == 12


def test_formula(pair):
    layer = trained(pair[1])[0].attn.qkv
    x = torch.randn(3, 5, 4)
    weight = layer._parameters['weight']
    expected = x @ weight.T + 6.0 / 2 * (x @ layer.lora_a.T) @ layer.lora_b.T
    torch.testing.assert_close(layer(x), expected)
    assert not torch.allclose(layer(x), x @ weight.T)


def test_a_network_that_reads_the_weight_gets_the_merged_one(pair):
    layer = trained(pair[1])[1].attn.proj
    x = torch.randn(3, 12)
    torch.testing.assert_close(nn.functional.linear(x, layer.weight, layer.bias), layer(x))
    nn.functional.linear(x, layer.weight).sum().backward()
    assert layer.lora_a.grad.abs().sum() > 0 and layer.lora_b.grad.abs().sum() > 0


def test_merged_state_is_the_plain_network(pair):
    plain, adapted = pair
    x = torch.randn(3, 5, 4)
    before = copy.deepcopy(trained(adapted).state_dict())
    plain.load_state_dict(merge_adapters(adapted.state_dict()))
    torch.testing.assert_close(plain(x), adapted(x), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in adapted.state_dict().items())


def test_a_state_of_another_scale_is_refused(pair):
    """Its weights fit, but the network would compute something else."""
    other = nn.Sequential(Block(), Block())
    add_lora(other, SETTINGS._replace(alpha=4.0), KEY)
    with pytest.raises(ValueError, match=r'rank = 3, and here it is 2: set alpha=6'):
        other.load_state_dict(pair[1].state_dict())


def test_a_scale_that_was_averaged_is_taken(pair):
    state = pair[1].state_dict()
    state['0.attn.qkv.lora_scale'] = state['0.attn.qkv.lora_scale'] * (1 + 1e-6)
    pair[1].load_state_dict(state)


def test_gradients(pair):
    adapted = trained(pair[1])
    adapted(torch.randn(3, 4)).sum().backward()
    for name, weight in adapted.named_parameters():
        frozen = '.attn.' in name and not is_adapter(name)
        assert (weight.grad is None) == frozen, name


def test_copies_are_apart(pair):
    other = copy.deepcopy(trained(pair[1]))
    assert isinstance(other[0].attn.qkv, LoRALinear)
    with torch.no_grad():
        other[0].attn.qkv.lora_b.zero_()
    assert pair[1][0].attn.qkv.lora_b.abs().sum() > 0


def test_other_dtypes_and_devices_take_the_frozen_weight_along(pair):
    layer = pair[1].double()[0].attn.qkv
    assert {weight.dtype for weight in layer.parameters()} == {torch.float64}
    assert layer(torch.randn(2, 4, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    'given, error, message',
    [
        (dict(rank=0), ValueError, 'backbone.lora.rank'),
        (dict(rank=2.5), TypeError, 'backbone.lora.rank must be an integer'),
        (dict(alpha=0), ValueError, 'backbone.lora.alpha must be above 0'),
        (dict(alpha='1'), TypeError, 'backbone.lora.alpha'),
        (dict(targets='qkv'), TypeError, 'backbone.lora.targets must be a list'),
        (dict(targets=None), TypeError, 'backbone.lora.targets must be a list'),
        (dict(targets=[]), TypeError, 'backbone.lora.targets must be a list'),
        (dict(r=8), ValueError, r"unknown settings \['r'\]"),
        (8, TypeError, 'must be a dict'),
    ],
)
def test_wrong_settings(given, error, message):
    with pytest.raises(error, match=message):
        LoRA.of(given, KEY)


def test_a_network_without_linear_layers():
    with pytest.raises(ValueError, match='none at all: remove backbone.lora'):
        add_lora(nn.Sequential(nn.Conv2d(3, 3, 1)), LoRA(), 'backbone.lora')


def test_unknown_target(pair):
    with pytest.raises(ValueError, match=r"no linear layer 'query'; it has \['proj', 'qkv'\]"):
        add_lora(pair[0], LoRA(targets=['qkv', 'query']), KEY)
