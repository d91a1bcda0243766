# Copyright (c) mmseg_ctt contributors.
"""Adapted backbones as plain ones: merged weights predict alike, and plain weights start them."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from toy import toy_settings
from toy_run import make_run, shake
from tuned import TUNINGS, vit_segmentor

from mmseg_ctt.apis import load_model
from mmseg_ctt.deploy.checkpoint import build_network, load_weights
from mmseg_ctt.deploy.export import export_backbone, export_member, member_state, segmentor_config
from mmseg_ctt.deploy.export.adapters import plain_backbone
from mmseg_ctt.engine.resume import refuse_misfit
from mmseg_ctt.nn.lora import is_adapter

pytest.importorskip('timm', reason='timm is not installed')

IMAGE = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def method(tuning):
    kind = 'CrossTeacherTraining'
    segmentor = vit_segmentor(**TUNINGS[tuning])
    return dict(type=kind, **{**toy_settings(kind), 'segmentor': segmentor})


def built(tuning):
    """A config of a run and its model, no two members of which are equal."""
    cfg = Config(dict(model=method(tuning), test_dataloader=None))
    return cfg, adapted(MODELS.build(cfg.model))


def adapted(model):
    """A shaken model whose adapters are not zero."""
    g = torch.Generator().manual_seed(2)
    for name, weight in shake(model).named_parameters():
        if is_adapter(name):
            weight.data = torch.randn(weight.shape, generator=g) * 0.3
    return model.eval()


def logits(network):
    with torch.inference_mode():
        return network.eval()._forward(IMAGE.to(next(network.parameters())))


@pytest.mark.parametrize('tuning', ['frozen', 'lora'])
@pytest.mark.parametrize('member', ['student1', 'teacher0'])
def test_a_member_as_a_plain_network(tuning, member):
    cfg, model = built(tuning)
    segmentor = segmentor_config(cfg.model, member)
    backbone, state = plain_backbone(
        segmentor['backbone'], member_state(model.state_dict(), member)
    )
    assert not {'frozen', 'lora'} & set(backbone) and not any(map(is_adapter, state))
    plain = load_weights(build_network({**segmentor, 'backbone': backbone}), state, 'the run')
    assert all(weight.requires_grad for weight in plain.parameters())
    # in float64, since logits near zero are differences of large ones
    expected = logits(model.member(member).double())
    torch.testing.assert_close(logits(plain.double()), expected, rtol=1e-4, atol=1e-4)


def test_without_merging_it_would_predict_otherwise():
    cfg, model = built('lora')
    state = member_state(model.state_dict(), 'student0')
    plain = build_network(segmentor_config(dict(cfg.model, segmentor=vit_segmentor()), 'student0'))
    plain.load_state_dict({name: v for name, v in state.items() if not is_adapter(name)})
    assert (logits(plain) - logits(model.students[0])).abs().max() > 0.01


def test_a_run_becomes_a_plain_model(tmp_path):
    """Stock mmseg builds the exported config, and its network predicts as the member."""
    model = method('lora')
    model['segmentor']['backbone']['final_norm'] = False  # which mmseg's own class lacks
    sharded = dict(type='ZeroRedundancyOptimizer', optimizer_type='AdamW', lr=0.1)
    wrapper = dict(
        type='OptimWrapper',
        constructor='StudentOptimWrapperConstructor',
        optimizer=sharded,
        paramwise_cfg=dict(layer_decay=0.7),
    )
    run = make_run(tmp_path, model, optim_wrapper=wrapper)
    member = adapted(MODELS.build(run.cfg.model))
    exported = export_member(run.cfg, dict(state_dict=member.state_dict(), meta={}), 'teacher1')
    assert exported.config.model.backbone.type == 'TIMMBackbone'
    plain = build_network(exported.config.model)
    plain.load_state_dict(exported.checkpoint['state_dict'])
    # in float64, since logits near zero are differences of large ones
    expected = logits(member.member('teacher1').double())
    torch.testing.assert_close(logits(plain.double()), expected, rtol=1e-4, atol=1e-4)
    trained = exported.config.optim_wrapper
    assert trained.optimizer == dict(type='AdamW', lr=0.1)
    assert 'constructor' not in trained and not trained.paramwise_cfg
    assert any('layer_decay' in note for note in exported.notes)


@pytest.mark.parametrize('tuning', ['full', 'frozen', 'lora'])
@pytest.mark.parametrize('trains', [True, False])
def test_a_training_part_that_tunes_otherwise_says_so(trains, tuning, tmp_path):
    model = method(tuning)
    model['segmentor']['backbone']['final_norm'] = False
    run = make_run(tmp_path, model)
    if not trains:
        run.cfg.train_dataloader = None
    exported = export_member(run.cfg, dict(state_dict=run.state_dict, meta={}), 'student0')
    notes = [note for note in exported.notes if 'trains the whole backbone' in note]
    assert ('train_dataloader' in exported.config) == trains
    assert len(notes) == (trains and tuning != 'full')
    assert all(f'model.backbone.{tuning} of the run is' in note for note in notes)


def test_optimisers_of_parts_are_left_out(tmp_path):
    """A plain model has no discriminator, and stock mmengine no such setting."""
    wrapper = dict(
        type='OptimWrapper',
        constructor='StudentOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.1),
        part_optimizers=dict(discriminator=dict(type='Adam', lr=1e-4)),
    )
    run = make_run(tmp_path, optim_wrapper=wrapper)
    exported = export_member(run.cfg, dict(state_dict=run.state_dict, meta={}), 'student0')
    cfg = exported.config.optim_wrapper
    assert build_optim_wrapper(build_network(exported.config.model), cfg).optimizer.defaults['lr']


def test_the_backbone_alone(tmp_path):
    cfg, model = built('lora')
    found = export_backbone(cfg, dict(state_dict=model.state_dict(), meta={}), 'student0')
    state = found.checkpoint['state_dict']
    assert not any(map(is_adapter, state)) and 'lora' not in found.checkpoint['meta']['cfg']
    torch.save(dict(state_dict=state), tmp_path / 'backbone.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))
    plain = MODELS.build(vit_segmentor(init_cfg=init))
    plain.init_weights()
    with torch.inference_mode():
        for ours, theirs in zip(plain.eval().backbone(IMAGE), model.students[0].backbone(IMAGE)):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_mean_of_adapters_is_refused():
    _, model = built('lora')
    with pytest.raises(ValueError, match='mean-student of LoRA adapters .* choose a single member'):
        member_state(model.state_dict(), 'mean-student')


def test_the_api_loads_a_run(tmp_path):
    cfg, model = built('lora')
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'run.pth')
    loaded = load_model(cfg, tmp_path / 'run.pth', member='teacher1')
    torch.testing.assert_close(logits(loaded), logits(model.member('teacher1')))


def test_plain_weights_start_every_member():
    _, model = built('lora')
    state = shake(MODELS.build(vit_segmentor()), seed=5).state_dict()
    refuse_misfit('plain.pth', dict(state_dict=state), model, 'start')
    model.load_state_dict(copy.copy(state), strict=False)
    for name in model.members:
        own = model.member(name).state_dict()
        assert all(torch.equal(value, own[key]) for key, value in state.items()), name
        assert any(map(is_adapter, own))


@pytest.mark.parametrize('purpose', ['start', 'test', 'resume'])
def test_adapters_are_never_lost(purpose):
    _, run = built('lora')
    _, plain = built('full')
    checkpoint = dict(state_dict=run.state_dict(), meta={}, message_hub={}, optimizer={})
    with pytest.raises(ValueError, match='has LoRA adapters .* set model.segmentor.backbone.lora'):
        refuse_misfit('run.pth', checkpoint, plain, purpose)


def test_a_file_with_adapters_starts_no_plain_backbone(tmp_path):
    _, model = built('lora')
    torch.save(dict(state_dict=model.students[0].backbone.state_dict()), tmp_path / 'adapted.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'adapted.pth'))
    with pytest.raises(ValueError, match='init_cfg: the file has LoRA adapters'):
        MODELS.build(vit_segmentor(init_cfg=init)).init_weights()
