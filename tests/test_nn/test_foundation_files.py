# Copyright (c) mmseg_ctt contributors.
"""Files for backbones of timm that end early, or are for images of another size or kind."""

import pytest
import torch
from foundation_files import built, loaded, started, written
from published_names import network

timm = pytest.importorskip('timm', reason='timm is not installed')

# networks of small width that name their stages, with what makes their files not fit by name alone
STAGES = {
    'efficientnet_b0': {},  # blocks.STAGE.BLOCK, as chunks of DINOv2
    'mobilenetv3_small_050': {},
    'ghostnet_050': {},
    'twins_svt_small': dict(embed_dims=(8, 8, 8, 8), num_heads=(1, 1, 1, 1), depths=(2, 1, 2, 1)),
    'swin_tiny_patch4_window7_224': dict(
        embed_dim=8, depths=(1, 1, 2, 1), num_heads=(1, 1, 1, 1), img_size=64, window_size=2
    ),
    'beit_base_patch16_224': dict(embed_dim=24, depth=3, num_heads=2, img_size=48),
    'tiny_vit_5m_224': dict(embed_dims=(8, 8, 8, 8), num_heads=(1, 1, 1, 1), depths=(1, 1, 2, 1)),
    'mvitv2_tiny': {},
    'maxvit_pico_rw_256': {},
    'resnet10t': dict(channels=(8, 16, 32, 64)),
    'resnet18': dict(channels=(8, 16, 32, 64)),  # three weights before the first stage
}


@pytest.mark.parametrize('last, prefix', [(0, ''), (1, 'net.'), (None, '')])
@pytest.mark.parametrize('name', STAGES)
def test_files_of_timm_for_networks_of_stages(name, last, prefix, tmp_path):
    """A file of the whole network starts one that ends after any stage."""
    whole = timm.create_model(name, num_classes=2, **STAGES[name])
    state = {prefix + key: value for key, value in whole.state_dict().items()}
    last = len(whole.feature_info) - 1 if last is None else last
    cfg = dict(type='FoundationBackbone', model_name=name, out_indices=(last,), **STAGES[name])
    path = written(state, tmp_path / 'net.pth')
    backbone, warnings, complete = started(cfg, path)
    assert warnings == [] and len(complete) == 1
    for key, weight in backbone.network.named_parameters():
        assert torch.equal(weight, state[prefix + key]), key


def test_an_own_file_for_images_of_another_size(tmp_path):
    """A backbone that this package wrote is brought to size as that of a publisher is."""
    name = 'vit_tiny_patch16_224'
    state = built(network(name)).state_dict()
    state['timm_model.model.pos_embed'][:, 1:] = torch.arange(9.0).reshape(1, 9, 1)
    path = written(state, tmp_path / 'net.pth')
    backbone, warnings, _ = loaded(name, path, img_size=96, patch_size=8)
    grid = backbone.network.pos_embed[0, 1:, 0].reshape(12, 12)
    assert warnings == [] and (grid.diff(dim=0) >= 0).all() and grid[0, 0] < grid[-1, -1]
    with pytest.raises(ValueError, match=r'would stay random \(timm_model.model.cls_token is \('):
        loaded(name, path, embed_dim=48)


@pytest.mark.parametrize(
    'prefix, tuning',
    [('', dict(frozen=True)), ('', dict(lora=dict(rank=2))), ('timm_model.model.', {})],
)
@pytest.mark.parametrize('channels', [1, 2, 4, 7])
def test_patches_of_other_channels(channels, prefix, tuning, tmp_path):
    """One channel sees the sum of the weights, others see them in turn, scaled, as in timm."""
    name = 'vit_tiny_patch16_224'
    reference = built(network(name))
    state = {prefix + key: value for key, value in reference.network.state_dict().items()}
    path = written(state, tmp_path / 'net.pth')
    backbone, warnings, _ = loaded(name, path, in_channels=channels, **tuning)
    weight, own = (
        backbone.network.patch_embed.proj.weight,
        reference.network.patch_embed.proj.weight,
    )
    assert warnings == [] and weight.shape[1] == channels
    rows = own.sum(dim=1, keepdim=True) if channels == 1 else own.repeat(1, 3, 1, 1) * 3 / channels
    torch.testing.assert_close(weight.data, rows[:, :channels].data)


@pytest.mark.parametrize('tuning', [dict(frozen=True), dict(lora=dict(rank=2))])
def test_weights_that_would_stay_random_for_ever(tuning, tmp_path):
    """The others of a network learn, those that do not train must be in the file."""
    name = 'vit_tiny_patch16_224'
    state = dict(built(network(name)).network.state_dict())
    state.pop('blocks.1.mlp.fc1.weight')
    path = written(state, tmp_path / 'net.pth')
    with pytest.raises(ValueError, match='do not train.*for ever.*blocks.1.mlp.fc1.weight is abs'):
        loaded(name, path, **tuning)
    assert len(loaded(name, path)[1]) == 1
