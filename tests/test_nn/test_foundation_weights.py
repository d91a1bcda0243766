# Copyright (c) mmseg_ctt contributors.
"""Weights of a vision transformer load from every naming, and give the same maps."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from published_names import NAMINGS, network

from mmseg_ctt.nn.pretrained import counted_starting_weights

timm = pytest.importorskip('timm', reason='timm is not installed')


def loaded(name, path, **changes):
    """A backbone with the weights of a file, and the lines of its start."""
    cfg = {**network(name), **changes, 'init_cfg': dict(type='Pretrained', checkpoint=str(path))}
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


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('naming', NAMINGS)
def test_every_naming_gives_the_same_maps(naming, suffix, tmp_path):
    name, rename = NAMINGS[naming]
    with DefaultScope.overwrite_default_scope('mmseg'):
        reference = MODELS.build(network(name)).eval()
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
