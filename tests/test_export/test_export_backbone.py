# Copyright (c) mmseg_ctt contributors.
"""The backbone of a run as a file, and trainings that start with it."""

import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmseg.registry import MODELS
from toy import toy_segmentor, toy_settings
from toy_data import toy_config, toy_method, write_toy_data
from toy_run import make_run, small_segmentor

from mmseg_ctt.apis import load_model
from mmseg_ctt.deploy.export import export_backbone, export_member, read_checkpoint
from mmseg_ctt.lab.benchmark.evaluation import benchmark_evaluation
from mmseg_ctt.methods import registered_methods

SELF = 'SelfSupervisedPretraining'
PREFIX = 'students.0.backbone.'


@pytest.fixture
def tool(load_tool):
    return load_tool('model_converters/export_backbone')


def pretrained(tmp_path: Path) -> tuple:
    """Config and checkpoint of a toy pre-training of two iterations, and its weights."""
    root = write_toy_data(tmp_path / 'data')
    cfg = toy_config(
        root,
        tmp_path / 'pretraining',
        model=toy_method(SELF),
        hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=2)),
    )
    Runner.from_cfg(cfg).train()
    config, path = tmp_path / 'run.py', tmp_path / 'pretraining' / 'iter_2.pth'
    cfg.dump(config)
    state = torch.load(path, weights_only=False)['state_dict']
    return config, path, {k[len(PREFIX) :]: v for k, v in state.items() if k.startswith(PREFIX)}


def starting(kind, **init):
    """A segmentor, or a method around it, whose backbone starts with a file."""
    segmentor = toy_segmentor(backbone=dict(type='ToyBackbone', init_cfg=init))
    return segmentor if kind is None else dict(type=kind, segmentor=segmentor)


def messages(model) -> str:
    """What ``init_weights`` logs as a warning, or of keys that are missing or unexpected."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((record.levelno, record.getMessage()))
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        model.init_weights()
    finally:
        logger.removeHandler(handler)
    told = ('unexpected', 'missing', 'do not match')
    return ''.join(
        text
        for level, text in lines
        if level >= logging.WARNING or any(word in text for word in told)
    )


def test_pretrain_export_fine_tune(tmp_path, tool, capsys):
    """Fine-tuning starts with exactly these weights, from the file and from the checkpoint."""
    config, checkpoint, weights = pretrained(tmp_path)
    out = tmp_path / 'backbone.pth'
    tool.call(config, checkpoint, out)
    assert f'backbone of student0, {len(weights)} tensors: {out}' in capsys.readouterr().out
    saved = torch.load(out)  # weights and built-in types alone
    assert saved['meta']['member'] == 'student0' and saved['meta']['iter'] == 2
    assert 'ToyBackbone' in saved['meta']['cfg']
    assert saved['state_dict'].keys() == weights.keys()
    for file, more in ((out, {}), (checkpoint, dict(prefix=PREFIX))):
        for kind in (None, 'MeanTeacher'):
            model = MODELS.build(starting(kind, type='Pretrained', checkpoint=str(file), **more))
            assert messages(model) == ''
            backbones = [model.backbone] if kind is None else [model.students[0].backbone]
            for backbone in backbones:
                for name, value in backbone.state_dict().items():
                    assert torch.equal(value, weights[name]), name


def test_a_run_that_starts_with_it(tmp_path, tool):
    config, checkpoint, weights = pretrained(tmp_path)
    tool.call(config, checkpoint, tmp_path / 'b.pth')
    model = starting('S4L', type='Pretrained', checkpoint=str(tmp_path / 'b.pth'))
    cfg = toy_config(tmp_path / 'data', tmp_path / 'fine', model=model)
    runner = Runner.from_cfg(cfg)
    started = {}
    runner.call_hook = lambda name, call=runner.call_hook, **kwargs: (
        started.update(
            {k: v.clone() for k, v in runner.model.students[0].backbone.state_dict().items()}
        )
        if name == 'before_train_iter' and not started
        else None,
        call(name, **kwargs),
    )
    runner.train()
    assert all(torch.equal(started[name], value) for name, value in weights.items())


@pytest.mark.parametrize('kind', [None, 'CrossTeacherTraining', 'MixAndMatchTuning'])
@pytest.mark.parametrize('member', [None, 'student0'])
def test_any_method_and_a_plain_segmentor(tmp_path, kind, member):
    model = small_segmentor() if kind is None else dict(type=kind, **given(kind))
    run = make_run(tmp_path, model=model)
    made = [run.cfg, read_checkpoint(run.checkpoint), member]
    if kind is None and member:
        with pytest.raises(ValueError, match='holds a plain segmentor'):
            export_backbone(*made)
        return
    made = export_backbone(*made)
    prefix = ''
    if kind is not None:
        name = member or registered_methods()[kind].default_predict_on(model)
        prefix = f'{name[:-1]}s.0.'
        assert made.member == name
    found = made.checkpoint['state_dict']
    want = {k: v for k, v in run.state_dict.items() if k.startswith(f'{prefix}backbone.')}
    assert len(found) == len(want) > 0 and made.notes == []
    assert all(torch.equal(found[k[len(prefix) + 9 :]], v) for k, v in want.items())
    assert 'init_cfg' not in made.checkpoint['meta']['cfg']


def given(kind):
    return toy_settings(kind, segmentor=small_segmentor())


def test_a_file_is_replaced_by_force_alone(tmp_path, tool, capsys):
    run, out = make_run(tmp_path), tmp_path / 'b.pth'
    out.write_text('mine')
    assert tool.exit_code(run.config, run.checkpoint, out) == 2
    assert 'exists: give another name, or --force' in capsys.readouterr().err
    assert out.read_text() == 'mine'
    tool.call(run.config, run.checkpoint, out, '--force')
    assert 'state_dict' in torch.load(out)
    assert tool.exit_code(run.config, run.checkpoint, tmp_path / 'b.txt') == 2
    assert tool.exit_code(run.config, tmp_path / 'absent.pth', tmp_path / 'c.pth') == 2
    assert not (tmp_path / 'c.pth').exists()


def test_config_of_another_network(tmp_path):
    run = make_run(tmp_path)
    run.cfg.model.segmentor.backbone.base_channels = 16
    run.cfg.model.segmentor.backbone.stem_channels = 16
    with pytest.raises(ValueError, match='config and checkpoint do not belong together'):
        export_backbone(run.cfg, read_checkpoint(run.checkpoint))


def test_without_a_backbone(tmp_path):
    run = make_run(tmp_path)
    heads = {k: v for k, v in run.state_dict.items() if '.backbone.' not in k}
    with pytest.raises(ValueError, match='the checkpoint has no backbone'):
        export_backbone(run.cfg, dict(state_dict=heads, meta={}))


def test_a_segmentation_is_refused(tmp_path):
    """Export of a segmentor, the API and the benchmark name the tool that fits."""
    run = make_run(tmp_path, model=dict(type=SELF, **given(SELF)))
    calls = (
        lambda: export_member(run.cfg, read_checkpoint(run.checkpoint)),
        lambda: load_model(run.cfg, run.checkpoint),
        lambda: load_model(run.cfg, run.checkpoint, 'ensemble'),
        lambda: benchmark_evaluation(Config(run.cfg.to_dict())),
    )
    for call in calls:
        with pytest.raises(ValueError, match=f'{SELF} learns features alone.*export_backbone'):
            call()


def test_a_training_checkpoint_without_its_prefix(tmp_path):
    """The error has the prefix to set; so has that of a method with several members."""
    run = make_run(tmp_path)
    segmentor = small_segmentor()
    segmentor['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(run.checkpoint))
    cfg = toy_config(
        tmp_path / 'data', tmp_path / 'fine', model=dict(type='S4L', segmentor=segmentor)
    )
    with pytest.raises(
        ValueError, match="backbone.init_cfg.*init_cfg.prefix='students.0.backbone.'"
    ):
        Runner.from_cfg(cfg).train()
