# Copyright (c) mmseg_ctt contributors.
"""Starting weights: a local file where there is one, else another address."""

import copy
from urllib.error import URLError

import pytest
import torch
import torch.nn as nn
from leaves import leaf
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS

from mmseg_ctt.engine.fingerprint import config_hash
from mmseg_ctt.nn import pretrained_path
from mmseg_ctt.nn.pretrained import counted_starting_weights
from mmseg_ctt.nn.weight_files import download_path, web_address

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


@pytest.mark.parametrize(
    'address, file',
    [
        ('mmcls://mobilenet_v2', 'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth'),
        ('open-mmlab://resnet50_v1c', 'resnet50_v1c-2cccc1ad.pth'),
        ('torchvision://resnet50', 'resnet50-0676ba61.pth'),
        ('https://example.org/net.pth?id=1', 'net.pth'),
    ],
)
def test_file_of_a_download(address, file, monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    assert download_path(address) == tmp_path / 'hub' / 'checkpoints' / file
    assert web_address(address).startswith('http') and file in web_address(address)


@pytest.mark.parametrize('address', ['net.pth', 'mmcls://absent', 's3://net.pth'])
def test_no_download(address):
    assert web_address(address) is None and download_path(address) is None


@pytest.mark.parametrize('error', [URLError('no network'), ConnectionResetError('no network')])
def test_a_failed_download_says_what_to_do(error, folder, monkeypatch):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr('mmengine.runner.checkpoint.load_url', fails)
    model = BaseModule(
        dict(type='Pretrained', checkpoint='pretrained:net.pth|mmcls://mobilenet_v2')
    )
    model.conv = nn.Conv2d(1, 1, 1)
    words = (
        r'init_cfg: mmcls://mobilenet_v2 cannot be downloaded \(no network\): copy https://.* to '
        rf'.*, or put net.pth into {folder} or .*PRETRAINED_ROOT.*init_cfg=None'
    )
    with pytest.raises(ValueError, match=words), counted_starting_weights(model, print):
        model.init_weights()


def test_another_missing_file_keeps_its_error(folder):
    model = BaseModule(
        dict(type='Pretrained', checkpoint='pretrained:net.pth|mmcls://mobilenet_v2')
    )
    with pytest.raises(ConnectionError, match='of something else'):
        with counted_starting_weights(model, print) as fits:
            fits['model.init_cfg'] = fits['init_cfg'] = None
            raise ConnectionError('of something else')
