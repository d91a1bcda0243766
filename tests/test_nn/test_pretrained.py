# Copyright (c) mmseg_ctt contributors.
"""Starting weights: a local file where there is one, else another address."""

import copy

import pytest
import torch
from leaves import leaf
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS

from mmseg_ctt.engine.fingerprint import config_hash
from mmseg_ctt.nn import pretrained_path

CHECKPOINT = 'pretrained:net.pth|mmcls://net'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('PRETRAINED_ROOT', str(tmp_path))
    return tmp_path


def test_the_file_before_the_address(folder):
    assert pretrained_path(CHECKPOINT) == 'mmcls://net'
    (folder / 'net.pth').touch()
    assert pretrained_path(CHECKPOINT) == str(folder / 'net.pth')
    assert pretrained_path('mmcls://net') == 'mmcls://net'
    assert pretrained_path('pretrained.pth') == 'pretrained.pth'


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.delenv('PRETRAINED_ROOT', raising=False)
    monkeypatch.chdir(tmp_path)
    assert pretrained_path(CHECKPOINT) == 'mmcls://net'
    (tmp_path / 'data' / 'pretrained').mkdir(parents=True)
    (tmp_path / 'data' / 'pretrained' / 'net.pth').touch()
    assert pretrained_path(CHECKPOINT) == 'data/pretrained/net.pth'


@pytest.mark.parametrize('checkpoint', ['pretrained:net.pth', 'pretrained:|mmcls://net'])
def test_incomplete(checkpoint):
    with pytest.raises(ValueError, match='FILE|OTHER'):
        pretrained_path(checkpoint)


def test_mmengine_loads_it(folder):
    torch.save(dict(state_dict={'conv.weight': torch.ones(2)}), folder / 'net.pth')
    loaded = CheckpointLoader.load_checkpoint(CHECKPOINT, map_location='cpu')
    assert loaded['state_dict']['conv.weight'].tolist() == [1, 1]


def test_backbone_of_the_camvid_configs(folder):
    cfg = copy.deepcopy(leaf('ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py')).model.segmentor
    backbone = MODELS.build(cfg.backbone)
    state = {key: torch.full_like(value, 2) for key, value in backbone.state_dict().items()}
    name = cfg.backbone.init_cfg.checkpoint.split(':')[1].split('|')[0]
    torch.save(dict(state_dict=state), folder / name)
    backbone.init_weights()
    assert all(bool((value == 2).all()) for value in backbone.state_dict().values())


def test_other_weights_are_another_config(folder):
    cfg = leaf('ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py')
    name = cfg.model.segmentor.backbone.init_cfg.checkpoint.split(':')[1].split('|')[0]
    zoo = config_hash(cfg)
    (folder / name).touch()
    assert config_hash(cfg) != zoo
