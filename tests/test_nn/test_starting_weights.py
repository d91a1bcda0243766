# Copyright (c) mmseg_ctt contributors.
"""What fits of a checkpoint is counted; one of which nothing fits is an error."""

import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import nn
from toy import toy_model, toy_segmentor
from toy_data import toy_config, write_toy_data

from mmseg_ctt.engine import run_checks
from mmseg_ctt.engine.resume import refuse_misfit
from mmseg_ctt.nn.pretrained import counted_starting_weights, fit_of, prefix_of

SWIN = dict(
    type='SwinTransformer', embed_dims=8, depths=(1, 1), num_heads=(1, 1), strides=(4, 2),
    out_indices=(0, 1), window_size=2, pretrain_img_size=32,
)  # fmt: skip


def segmentor(file, **init):
    cfg = toy_segmentor()
    cfg['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(file), **init)
    return cfg


def backbone_state(prefix='', without=()):
    state = MODELS.build(dict(type='ToyBackbone')).state_dict()
    return {
        f'{prefix}{key}': torch.full_like(value, 2)
        for key, value in state.items()
        if key not in without
    }


def load(file, **init):
    """Warnings and counts of a method and of the network alone; both must agree."""
    found = []
    for model in (
        MODELS.build(segmentor(file, **init)),
        MODELS.build(dict(type='CrossTeacherTraining', segmentor=segmentor(file, **init))),
    ):
        lines, complete = [], []
        with counted_starting_weights(model, lines.append, complete.append) as fits:
            model.init_weights()
        found.append((model, lines, fits))
        assert complete == [f'{key}: {file} has {fit}' for key, fit in fits.items() if not lines]
    assert len(found[0][1]) == len(found[1][1]), 'once, not once a student'
    return found


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'net.pth'


def test_all_fits(file):
    torch.save(backbone_state(), file)
    for _, lines, fits in load(file):
        assert lines == [] and [str(fit) for fit in fits.values()] == ['6 of 6 weights']


def test_a_part_fits(file):
    torch.save(dict(state_dict=backbone_state(without=['stem.weight'])), file)
    for _, (line,), fits in load(file):
        assert line.startswith(f'{next(iter(fits))}: {file} has 5 of 6 weights')
        assert 'stem.weight is absent there and (8, 3, 3, 3) here' in line
    assert list(fits) == ['model.segmentor.backbone.init_cfg']


def test_a_part_that_never_trains_must_fit(file):
    """A network that does not train at all is a member that gets its weights elsewhere."""
    torch.save(backbone_state(without=['stem.weight']), file)
    for layers in ('stem', 'body', ''):
        model, lines = MODELS.build(segmentor(file)), []
        model.backbone.get_submodule(layers).requires_grad_(False)
        with counted_starting_weights(model, lines.append):
            if layers == 'stem':
                with pytest.raises(
                    ValueError, match='has 1 of 2 weights that do not train.*stem.w'
                ):
                    model.init_weights()
            else:
                model.init_weights()
                assert 'stay random (stem.weight' in lines[0]


def test_a_part_that_never_trains_of_a_run_that_resumes(file):
    """Its checkpoint has all weights."""
    torch.save(backbone_state(without=['stem.weight']), file)
    model, lines = MODELS.build(segmentor(file)), []
    model.backbone.stem.requires_grad_(False)
    with counted_starting_weights(model, lines.append, resumes=lambda: True):
        model.init_weights()
    (line,) = lines
    assert '5 of 6 weights (stem.weight is absent' in line and line.endswith('resumed checkpoint')


@pytest.mark.parametrize('resume', [False, True])
@pytest.mark.parametrize('named', [None, 'iter_1.pth'])
@pytest.mark.parametrize('saved', [False, True])
def test_a_run_that_resumes(tmp_path, monkeypatch, resume, named, saved):
    """With ``--resume`` there may be no checkpoint yet, and ``load_from`` alone is a new start."""

    class Asked(Exception):
        pass

    def count(model, warn, inform, resumes):
        raise Asked(bool(resumes()))

    monkeypatch.setattr(run_checks, 'counted_starting_weights', count)
    work = tmp_path / 'work'
    work.mkdir()
    if saved:
        (work / 'iter_1.pth').touch()
    cfg = toy_config(write_toy_data(tmp_path / 'data'), work, resume=resume, load_from=named)
    with pytest.raises(Asked) as error:
        Runner.from_cfg(cfg).train()
    assert error.value.args == (resume and (named is not None or saved),)


@pytest.mark.parametrize('prefix', ['model.', 'backbone.', 'a.b.'])
def test_names_under_a_prefix(file, prefix):
    torch.save(dict(state_dict=backbone_state(prefix)), file)
    with pytest.raises(ValueError, match='backbone.init_cfg: .*has 0 of 6') as error:
        load(file)
    assert f'set init_cfg.prefix={prefix!r}' in str(error.value)
    for model, lines, _ in load(file, prefix=prefix):  # what the message says works
        member = model.students[1] if hasattr(model, 'students') else model
        assert lines == [] and bool((member.backbone.stem.weight == 2).all())


def test_no_name_fits(file):
    torch.save({'conv1.weight': torch.zeros(3)}, file)
    with pytest.raises(ValueError, match='take the file of this architecture'):
        load(file)


def test_a_prefix_that_no_name_has(file):
    torch.save(backbone_state(), file)
    with pytest.raises(ValueError, match='init_cfg.prefix: encoder. is not in'):
        load(file, prefix='encoder')


@pytest.mark.parametrize('prefix', ['', 'model.'])
def test_a_backbone_that_loads_by_itself(file, prefix):
    """Swin reads the file in its own `init_weights`."""
    net = MODELS.build(SWIN)
    torch.save({f'{prefix}{key}': value for key, value in net.state_dict().items()}, file)
    net = MODELS.build({**SWIN, 'init_cfg': dict(type='Pretrained', checkpoint=str(file))})
    with counted_starting_weights(net, print) as fits:
        if prefix:
            with pytest.raises(ValueError, match="begin with 'model.', save the file without"):
                net.init_weights()
            return
        net.init_weights()
    (fit,) = fits.values()
    assert fit.fitting == fit.total == len(list(net.parameters()))


def test_counting():
    weights = {f'{i}.w': torch.zeros(i + 1) for i in range(20)}
    assert fit_of(weights, weights).example == ''
    two = {key: weights[key] for key in ('3.w', '4.w')}
    assert str(fit_of(weights, two)) == '2 of 20 weights' and fit_of(weights, two).enough
    assert not fit_of(weights, {'3.w': weights['3.w']}).enough
    assert not fit_of({'a': torch.zeros(1)}, {}).enough
    assert prefix_of(weights, two) is None


def start_from(state):
    model = toy_model('MeanTeacher')
    refuse_misfit('net.pth', dict(state_dict=state), model, 'start')


def test_load_from_keeps_adapters_or_refuses_them():
    lost = {
        'students.0.backbone.net.qkv.lora_a': torch.zeros(2, 8),
        'students.0.backbone.net.qkv.lora_b': torch.zeros(8, 2),
    }
    plain = toy_model('MeanTeacher')
    state = {**plain.state_dict(), **lost}
    with pytest.raises(ValueError, match='has LoRA adapters.* this network has none'):
        refuse_misfit('net.pth', dict(state_dict=state), plain, 'start')
    plain.students[0].backbone.net = nn.Module()
    plain.students[0].backbone.net.qkv = nn.Module()
    for name, value in lost.items():
        other_rank = nn.Parameter(value.reshape(-1, 4))
        plain.students[0].backbone.net.qkv.register_parameter(name[-6:], other_rank)
    with pytest.raises(ValueError, match=r'has LoRA adapters.* this network has \(4, 4\)'):
        refuse_misfit('net.pth', dict(state_dict=state), plain, 'start')


def test_load_from_counts_too(monkeypatch):
    said = []
    for log in ('show', 'print_log'):
        monkeypatch.setattr(f'mmseg_ctt.engine.resume.{log}', lambda line, *_: said.append(line))
    state = toy_model('MeanTeacher').students[0].state_dict()
    start_from(state)
    start_from({key: value for key, value in state.items() if 'conv_seg' not in key})
    total = len(list(toy_model('MeanTeacher').students[0].parameters()))
    assert said[0] == f'load_from: net.pth has {total} of {total} weights of the network'
    assert f'has {total - 2} of {total} weights' in said[1]
    assert 'decode_head.conv_seg.weight is absent there' in said[1]


def test_load_from_of_a_backbone_alone():
    with pytest.raises(ValueError, match='it is a backbone alone, set the init_cfg of that'):
        start_from(backbone_state())


def test_load_from_under_a_prefix():
    state = toy_model('MeanTeacher').students[0].state_dict()
    with pytest.raises(ValueError, match="its names begin with 'net.'"):
        start_from({f'net.{key}': value for key, value in state.items()})
