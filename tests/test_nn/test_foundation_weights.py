# Copyright (c) mmseg_ctt contributors.
"""Weights of a vision transformer load from every naming, and give the same maps."""

from urllib.error import URLError

import pytest
import torch
from foundation_files import built, loaded, written
from mmseg.registry import MODELS
from published_names import NAMINGS, TINY, dinov2_state, network
from toy import toy_segmentor

from mmseg_ctt.nn.pretrained import counted_starting_weights

pytest.importorskip('timm', reason='timm is not installed')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('naming', NAMINGS)
def test_every_naming_gives_the_same_maps(naming, suffix, tmp_path):
    name, rename = NAMINGS[naming]
    reference = built(network(name))
    for weight in reference.parameters():  # layer scales too, which start near 0
        torch.nn.init.normal_(weight, std=0.2)
    state = rename(reference.network.state_dict())
    assert naming == 'timm' or not set(state) <= set(reference.network.state_dict())
    backbone, warnings, complete = loaded(name, written(state, tmp_path / f'net{suffix}'))
    assert warnings == [] and len(complete) == 1
    image = torch.rand(1, 3, *(3 * side for side in reference.size_divisor))
    with torch.no_grad():
        for ours, theirs in zip(backbone(image), reference(image)):
            torch.testing.assert_close(ours, theirs)


def test_blocks_that_are_not_read_are_left_out(tmp_path):
    """A file of two blocks for a network of one, without its last normalisation."""
    name = 'vit_small_patch14_dinov2'
    state = dinov2_state(built(network(name)).network.state_dict())
    backbone, warnings, complete = loaded(
        name, written(state, tmp_path / 'net.pth'), out_indices=(0,), final_norm=False
    )
    assert warnings == [] and len(backbone.network.blocks) == 1 and len(complete) == 1
    weight = backbone.network.blocks[0].mlp.fc1.weight
    torch.testing.assert_close(weight.data, state['blocks.0.mlp.fc1.weight'])


@pytest.mark.parametrize('naming', ['DINOv2', 'DINOv2, Hugging Face', 'ViT, Hugging Face'])
def test_position_embeddings_and_patches_are_resized(naming, tmp_path):
    name, rename = NAMINGS[naming]
    reference = built(network(name))
    grid = torch.arange(9.0).reshape(1, 9, 1).expand(1, 9, 24)  # of 3 x 3 patches
    reference.network.pos_embed.data[:, 1:] = grid
    path = written(rename(reference.network.state_dict()), tmp_path / 'net.pth')
    side = 2 * TINY[name]['img_size']
    backbone, warnings, _ = loaded(name, path, img_size=side)
    positions = backbone.network.pos_embed[0, 1:, 0].reshape(6, 6)
    assert (
        warnings == [] and (positions.diff(dim=0) > 0).all() and (positions.diff(dim=1) > 0).all()
    )
    torch.testing.assert_close(
        backbone.network.pos_embed[0, 0], reference.network.pos_embed[0, 0].detach()
    )
    other, warnings, _ = loaded(name, path, patch_size=8, img_size=24)
    assert warnings == [] and other.network.patch_embed.proj.weight.std() > 0


def test_a_file_of_another_architecture(tmp_path):
    state = {'layer1.0.conv1.weight': torch.zeros(3, 3), 'fc.bias': torch.zeros(2)}
    with pytest.raises(ValueError, match='would stay random'):
        loaded('vit_small_patch14_dinov2', written(state, tmp_path / 'net.pth'))


def test_a_file_of_another_width_says_what_stays_random(tmp_path):
    state = built({**network('vit_small_patch14_dinov2'), 'depth': 1, 'out_indices': (0,)})
    _, warnings, complete = loaded(
        'vit_small_patch14_dinov2', written(state.network.state_dict(), tmp_path / 'net.pth')
    )
    assert complete == [] and 'blocks.1.norm1.weight is absent there' in warnings[0]


def test_a_file_that_lacks_the_values_of_a_layer(tmp_path):
    """A part of queries, keys and values is missing: the weight is random, not zero."""
    name, rename = NAMINGS['DINOv2, Hugging Face']
    state = rename(built(network(name)).network.state_dict())
    state.pop(next(key for key in state if key.endswith('value.weight')))
    _, warnings, complete = loaded(name, written(state, tmp_path / 'net.pth'))
    assert complete == [] and 'qkv.weight is absent there' in warnings[0]


def test_registers_that_the_network_lacks(tmp_path):
    state = dinov2_state(built(network('vit_small_patch14_reg4_dinov2')).network.state_dict())
    with pytest.raises(ValueError, match='register tokens.*model_name.*reg4'):
        loaded('vit_small_patch14_dinov2', written(state, tmp_path / 'net.pth'))


def test_one_of_several_networks_is_named(tmp_path):
    """A file of a student and its teacher, flat."""
    name = 'vit_small_patch14_dinov2'
    state = {
        f'{prefix}.backbone.{key}': torch.full_like(value, fill)
        for prefix, fill in (('student', 1.0), ('teacher', 2.0))
        for key, value in built(network(name)).network.state_dict().items()
    }
    path = written(state, tmp_path / 'net.pth')
    with pytest.raises(ValueError, match=r"2 networks, under 'student.backbone.', 'teacher.back"):
        loaded(name, path)
    init = dict(type='Pretrained', checkpoint=str(path), prefix='teacher.backbone.')
    backbone = MODELS.build(dict(network(name), init_cfg=init))
    backbone.init_weights()
    assert all((weight == 2).all() for weight in backbone.parameters())


@pytest.mark.parametrize('prefix', ['', 'timm_model.model.', 'backbone.timm_model.model.'])
def test_adapters_are_not_lost(prefix, tmp_path):
    name, lora = 'vit_tiny_patch16_224', dict(rank=2, targets=['qkv'])
    network_ = built({**network(name), 'lora': lora}).network
    state = {prefix + key: value for key, value in network_.state_dict().items()}
    path = written(state, tmp_path / 'net.pth')
    _, warnings, _ = loaded(name, path, lora=lora)
    assert warnings == []
    for other in (None, dict(lora, rank=3), dict(lora, targets=['proj'])):
        with pytest.raises(ValueError, match='the file has LoRA adapters'):
            loaded(name, path, lora=other)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_damaged_file(suffix, tmp_path):
    name = 'vit_tiny_patch16_224'
    path = written(built(network(name)).network.state_dict(), tmp_path / f'net{suffix}')
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b'', b'<html>404 Not Found</html>'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'init_cfg: .*net\..* is .*download it again'):
            loaded(name, path)
    path.write_bytes(whole)
    assert loaded(name, path)[1] == []


# ---- where the file comes from

CHECKPOINT = 'pretrained:net.pth|https://nowhere.invalid/net.pth|random'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('PRETRAINED_ROOT', str(tmp_path))
    return tmp_path


@pytest.mark.parametrize('checkpoint', [CHECKPOINT, 'pretrained:net.pth|random'])
def test_a_random_start_says_so(checkpoint, folder, monkeypatch):
    def unreachable(*_, **__):
        raise URLError('no network')

    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', unreachable)
    _, warnings, complete = loaded('vit_small_patch14_dinov2', checkpoint)
    assert complete == [] and len(warnings) == 1
    assert 'RANDOM WEIGHTS: there is no' in warnings[0] and 'PRETRAINED_ROOT' in warnings[0]
    assert ('nowhere.invalid' in warnings[0]) == ('http' in checkpoint)
    state = dinov2_state(built(network('vit_small_patch14_dinov2')).network.state_dict())
    written(state, folder / 'net.pth')
    _, warnings, complete = loaded('vit_small_patch14_dinov2', checkpoint)
    assert warnings == [] and len(complete) == 1


def test_students_say_it_once(folder):
    segmentor = toy_segmentor()
    init = dict(type='Pretrained', checkpoint='pretrained:net.pth|random')
    segmentor['backbone'] = {**network('vit_small_patch14_dinov2'), 'init_cfg': init}
    segmentor['decode_head'].update(in_channels=24)
    model = MODELS.build(dict(type='CrossTeacherTraining', segmentor=segmentor))
    lines = []
    with counted_starting_weights(model, lines.append):
        model.init_weights()
    assert len(lines) == 1 and lines[0].startswith('model.segmentor.backbone.init_cfg: RANDOM')


def test_downloaded_where_there_is_network(folder, monkeypatch):
    state = dinov2_state(built(network('vit_small_patch14_dinov2')).network.state_dict())
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', lambda *_, **__: state)
    monkeypatch.setattr('mmengine.runner.checkpoint.load_url', lambda *_, **__: state)
    _, warnings, complete = loaded('vit_small_patch14_dinov2', CHECKPOINT)
    assert warnings == [] and len(complete) == 1


@pytest.mark.parametrize(
    'checkpoint, words',
    [
        ('pretrained:net.pth|https://a/b|ranndom', 'must be pretrained:FILE'),
        ('pretrained:net.pth|mmcls://net|random', 'an address of http'),
    ],
)
def test_incomplete_sources(checkpoint, words, folder):
    with pytest.raises(ValueError, match=words):
        loaded('vit_small_patch14_dinov2', checkpoint)


def test_a_file_of_safetensors_that_is_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.safetensors'):
        loaded('vit_small_patch14_dinov2', tmp_path / 'absent.safetensors')
