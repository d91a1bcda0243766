# Copyright (c) mmseg_ctt contributors.
"""Networks of timm as backbones: sizes of images, layers, checkpointing, mistakes."""

import sys

import pytest
import torch
from mmseg.registry import MODELS
from tuned import vit_segmentor

from mmseg_ctt.nn.foundation.backbone import nearest_sizes

pytest.importorskip('timm', reason='timm is not installed')


def vit(**changes):
    torch.manual_seed(0)
    return MODELS.build({**vit_segmentor()['backbone'], **changes})


@pytest.mark.parametrize('size', [(32, 32), (8, 40), (48, 24)])
def test_every_size_that_the_patch_divides(size):
    maps = vit()(torch.rand(2, 3, *size))
    assert [tuple(map_.shape) for map_ in maps] == [(2, 16, size[0] // 8, size[1] // 8)] * 2


def test_position_embeddings_are_resized():
    """A constant image gives other features at another size only by its position embeddings."""
    backbone = vit().eval()
    with torch.no_grad():
        small = backbone(torch.ones(1, 3, 16, 16))[0]
        assert small.std(dim=(2, 3)).max() > 1e-3
        backbone.network.pos_embed.data.zero_()
        assert backbone(torch.ones(1, 3, 16, 16))[0].std(dim=(2, 3)).max() < 1e-5


def test_sizes_that_it_does_not_divide():
    words = r'36x32.*8x8 pixels.*nearest sizes are \(32, 32\) and \(40, 32\).*size_divisor'
    with pytest.raises(ValueError, match=words):
        vit()(torch.rand(1, 3, 36, 32))
    assert nearest_sizes((5, 518), (14, 14)) == ((14, 518), (14, 518))


def test_a_size_of_fixed_position_embeddings():
    backbone = vit(dynamic_img_size=False)
    assert backbone.fixed_size == (32, 32) and backbone(torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match='for 32x32: .*dynamic_img_size=True'):
        backbone(torch.rand(1, 3, 40, 32))


def test_a_network_that_never_resizes_is_built_for_the_size():
    settings = dict(type='FoundationBackbone', model_name='beit_base_patch16_224')
    settings.update(embed_dim=16, depth=1, num_heads=1, out_indices=(0,))
    image = torch.rand(1, 3, 32, 48)
    with pytest.raises(ValueError, match=r'img_size=\(32, 48\)') as error:
        MODELS.build(settings)(image)
    assert 'dynamic_img_size' not in str(error.value)
    assert MODELS.build(dict(settings, img_size=(32, 48)))(image)[0].shape == (1, 16, 2, 3)


def test_layers_are_normalised_as_dinov2_is_read():
    raw, normalised = vit(final_norm=False), vit(final_norm=True)
    assert set(raw.state_dict()) < set(normalised.state_dict()), 'weights that nothing reads'
    raw.load_state_dict(normalised.state_dict(), strict=False)
    torch.nn.init.normal_(normalised.network.norm.weight)
    image = torch.rand(1, 3, 32, 32)
    for ours, theirs in zip(normalised(image), raw(image)):
        norm = normalised.network.norm(theirs.movedim(1, -1)).movedim(-1, 1)
        torch.testing.assert_close(ours, norm)


def test_layers_after_the_last_are_not_built():
    assert len(vit(depth=3, out_indices=(0, 1)).network.blocks) == 2


def test_gradient_checkpointing_changes_no_gradient():
    image = torch.rand(2, 3, 32, 32)
    usual, kept = vit(), vit(gradient_checkpointing=True)
    assert kept.network.grad_checkpointing and not usual.network.grad_checkpointing
    for backbone in (usual, kept):
        sum((map_**2).sum() for map_ in backbone(image)).backward()
    for (name, weight), other in zip(usual.named_parameters(), kept.parameters()):
        assert weight.grad is not None, f'{name} has no gradient'
        torch.testing.assert_close(weight.grad, other.grad)


HIERARCHICAL = {
    'swin_tiny_patch4_window7_224': dict(
        embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=2, img_size=64,
        strict_img_size=False,
    ),
    'convnext_atto': dict(dims=(8, 16, 32, 64), depths=(1, 1, 1, 1)),
    'resnet10t': dict(channels=(8, 16, 32, 64), out_indices=(1, 2, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize('name', HIERARCHICAL)
def test_hierarchical_networks(name):
    backbone = MODELS.build(dict(type='FoundationBackbone', model_name=name, **HIERARCHICAL[name]))
    maps = backbone.eval()(torch.rand(1, 3, 64, 96))
    assert [map_.shape[1] for map_ in maps] == backbone.channels
    assert [tuple(map_.shape[2:]) for map_ in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(model_name='vit_small_dinov9'), 'no network of that name; it has '),
        (dict(pretrained=True), 'init_cfg=dict.*remove pretrained'),
        (dict(checkpoint_path='a.pth'), 'init_cfg=dict.*remove pretrained'),
        (dict(out_indices=(0, 5)), r'out_indices=\(0, 5\): vit_tiny_patch16_224 has 2 layers'),
        (dict(no_such_setting=1), 'no_such_setting'),
        (dict(embed_dim=17), 'timm builds no vit_tiny.*divisible'),
        (dict(patch_size=0), 'timm builds no vit_tiny'),
        (dict(model_name='vit_tiny_patch16_224.no_such_tag'), 'no_such_tag'),
        (dict(out_indices=(1, 0)), r'out_indices=\(1, 0\) must be rising'),
        (dict(out_indices=(1, 1)), r'out_indices=\(1, 1\) must be rising'),
        (dict(out_indices=(-1, 1)), r'out_indices=\(-1, 1\) must be rising'),
        (dict(out_indices=()), 'must be rising'),
    ],
)
def test_mistakes(changes, words):
    with pytest.raises(ValueError, match=rf'(?s)model.segmentor.backbone.*{words}'):
        vit(**changes)


@pytest.mark.parametrize(
    'changes',
    [
        dict(model_name=None),
        dict(out_indices=1),
        dict(out_indices='01'),
        dict(gradient_checkpointing='false'),
        dict(final_norm='false'),
    ],
)
def test_values_of_a_wrong_type(changes):
    with pytest.raises(TypeError, match=f'model.segmentor.backbone.{next(iter(changes))} must be'):
        vit(**changes)


@pytest.mark.parametrize('name', HIERARCHICAL)
def test_no_last_normalisation_of_hierarchical_networks(name):
    cfg = dict(type='FoundationBackbone', model_name=name, final_norm=True, **HIERARCHICAL[name])
    with pytest.raises(ValueError, match='final_norm=True: .* set it to False'):
        MODELS.build(cfg)


def test_layers_from_the_end():
    backbone, image = vit(depth=3, out_indices=(-2, -1)).eval(), torch.rand(1, 3, 32, 32)
    other = vit(depth=3, out_indices=(1, 2)).eval()
    other.load_state_dict(backbone.state_dict())
    for ours, theirs in zip(backbone(image), other(image)):
        assert torch.equal(ours, theirs)


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ValueError, match=r"pip install 'mmseg_ctt\[timm\]'"):
        vit()
