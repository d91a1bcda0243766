# Copyright (c) mmseg_ctt contributors.
"""Checkpoints of every method, with all that hooks add to the model, in every loader."""

import ast
from pathlib import Path

import pytest
import torch
from family import EVERY_METHOD_WITH_MASKS
from mmengine.config import Config
from mmseg.registry import MODELS
from toy import toy_settings
from toy_data import toy_config, write_toy_data
from toy_run import MEMBERS, shake, small_segmentor

from mmseg_ctt.apis import load_model
from mmseg_ctt.deploy.checkpoint import load_network, read_checkpoint
from mmseg_ctt.deploy.export import export_member
from mmseg_ctt.engine.resume import refuse_misfit
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.alignment import MemberAlignment

PACKAGE = Path(__file__).resolve().parents[2] / 'mmseg_ctt'
METAS = [dict(ori_shape=(32, 32), img_shape=(32, 32))]


class Saved:
    """Config, model and checkpoint of a run of a method with every hook that changes a model."""

    def __init__(self, folder: Path, kind: str, **changes) -> None:
        given = {**toy_settings(kind, segmentor=small_segmentor()), **changes}
        self.cfg = toy_config(folder / 'data', folder / 'work', model=dict(type=kind, **given))
        self.model = shake(MODELS.build(Config(dict(model=self.cfg.model)).model)).eval()
        if self.model.uses_pseudo_labels:
            target = torch.tensor([0.4, 0.3, 0.2, 0.1])
            self.model.alignment = MemberAlignment(self.model.teaching_members, target, steps=5)
        self.path = folder / 'iter_1.pth'
        torch.save(dict(meta={}, state_dict=self.model.state_dict()), self.path)

    def logits(self, network) -> torch.Tensor:
        with torch.no_grad():
            return network.inference(IMAGE, METAS)


IMAGE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@EVERY_METHOD_WITH_MASKS
def test_every_loader_takes_what_hooks_have_added(kind, tmp_path):
    saved = Saved(tmp_path, kind)
    whole = load_network(saved.cfg, saved.path, 'cpu')
    assert whole.state_dict().keys() == saved.model.state_dict().keys()
    for name, value in saved.model.state_dict().items():
        assert torch.equal(whole.state_dict()[name], value), name
    assert (whole.alignment is not None) == saved.model.uses_pseudo_labels
    assert load_model(saved.cfg, saved.path).member_name == saved.model.predict_on
    assert load_model(saved.cfg, saved.path, 'ensemble').member_name == 'ensemble'
    checkpoint = read_checkpoint(saved.path)
    assert export_member(saved.cfg, checkpoint).member == saved.model.predict_on
    fresh = MODELS.build(Config(dict(model=saved.cfg.model)).model)
    refuse_misfit('x.pth', dict(checkpoint), fresh, 'test')


@EVERY_METHOD_WITH_MASKS
def test_export_and_api_predict_with_the_member_of_the_config(kind, tmp_path):
    """By default that of the class; ``test_cfg.predict_on`` counts, for each name."""
    saved = Saved(tmp_path, kind)
    names = [name for name in saved.model.member_names if name in MEMBERS]
    assert registered_methods()[kind].default_predict_on(saved.cfg.model) in names
    for name in [None, *names]:
        cfg = Config(saved.cfg.to_dict())
        if name is not None:
            saved.model.predict_on = name
            cfg.model.test_cfg = dict(predict_on=name)
        expected = saved.logits(saved.model)
        loaded = load_model(cfg, saved.path)
        assert torch.equal(saved.logits(loaded), expected), name
        assert loaded.member_name == saved.model.predict_on
        made = export_member(cfg, read_checkpoint(saved.path))
        plain = MODELS.build(made.config.model).eval()
        plain.load_state_dict(made.checkpoint['state_dict'])
        torch.testing.assert_close(saved.logits(plain), expected)


@EVERY_METHOD_WITH_MASKS
def test_ensemble_of_the_api(kind, tmp_path):
    """It predicts as the model does; its name does not hide ``member`` of the model."""
    saved = Saved(tmp_path, kind)
    modes = ['train']
    if any(name.startswith('teacher') for name in saved.model.teaching_members):
        modes.append('eval')
    for mode in modes:
        cfg = Config(saved.cfg.to_dict())
        cfg.model.teacher_mode = mode
        cfg.model.test_cfg = dict(predict_on='ensemble')
        loaded, saved.model.predict_on = load_model(cfg, saved.path), 'ensemble'
        assert loaded.member_name == 'ensemble'
        torch.testing.assert_close(saved.logits(loaded), saved.logits(saved.model))
        for name in loaded.ensemble_members:
            same = zip(loaded.member(name).parameters(), saved.model.member(name).parameters())
            assert all(torch.equal(*pair) for pair in same)
        assert not any(module.training for module in loaded.train().eval().modules())


@EVERY_METHOD_WITH_MASKS
def test_export_has_the_mode_of_the_segmentor(kind, tmp_path):
    """Sliding windows are set in the segmentor; in the wrapper they are refused by name."""
    slide = dict(mode='slide', crop_size=(16, 16), stride=(8, 8))
    saved = Saved(tmp_path, kind, segmentor={**small_segmentor(), 'test_cfg': slide})
    made = export_member(saved.cfg, read_checkpoint(saved.path))
    assert dict(made.config.model.test_cfg) == slide
    assert dict(load_model(saved.cfg, saved.path).test_cfg) == slide
    saved.cfg.model.test_cfg = dict(mode='slide')
    with pytest.raises(ValueError, match=r'set mode in model\.segmentor\.test_cfg'):
        MODELS.build(saved.cfg.model)


def test_top_level_preprocessor_counts_for_every_loader(tmp_path):
    """mmseg's own configs have it there."""
    saved = Saved(tmp_path, 'CrossTeacherTraining')
    saved.cfg.data_preprocessor = saved.cfg.model.segmentor.pop('data_preprocessor')
    assert load_network(saved.cfg, saved.path, 'cpu').data_preprocessor.mean[0, 0, 0] == 120
    for member in ('teacher0', 'ensemble'):
        loaded = load_model(saved.cfg, saved.path, member)
        assert loaded.data_preprocessor.mean[0, 0, 0] == 120


# ---- one path


def calls(file: Path) -> set:
    """Names of the functions and methods that a file calls."""
    called = [node.func for node in ast.walk(ast.parse(file.read_text())) if _is_call(node)]
    return {getattr(name, 'attr', getattr(name, 'id', '')) for name in called}


def _is_call(node) -> bool:
    return isinstance(node, ast.Call)


def test_one_function_reads_and_loads_outside_a_training():
    """In and below ``engine`` mmengine's runner loads, and state is copied between networks."""
    tools = PACKAGE.parent / 'tools'
    rooms = [PACKAGE / name for name in ('deploy', 'self_training', 'lab')]
    files = [file for room in (tools, *rooms) for file in room.rglob('*.py')]
    loading = {'load_state_dict', 'load_checkpoint', '_load_checkpoint', 'load_checkpoint_to_model'}
    found = {file.relative_to(PACKAGE.parent).as_posix() for file in files if calls(file) & loading}
    assert found == {'mmseg_ctt/deploy/checkpoint.py'}
    read = [file for file in files if 'torch.load(' in file.read_text()]
    assert not read, read


def test_a_run_with_alignment(tmp_path):
    """A checkpoint of a real run, too: the hook adds its part, and every loader takes it."""
    from mmengine.runner import Runner

    root = write_toy_data(tmp_path / 'data')
    hook = dict(type='DistributionAlignmentHook', frequency=[4, 3, 2, 1], steps=3)
    cfg = toy_config(root, tmp_path / 'work', hooks=dict(alignment=hook))
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=2)
    Runner.from_cfg(cfg).train()
    path = tmp_path / 'work' / 'iter_2.pth'
    assert 'alignment.teacher0.means' in read_checkpoint(path)['state_dict']
    assert load_network(cfg, path, 'cpu').alignment is not None
    assert load_model(cfg, path).member_name == 'teacher0'
