# Copyright (c) mmseg_ctt contributors.
"""The page on Python runs as it stands, on a folder of tiny images, for two iterations."""

import importlib

import pytest
from pages import code
from toy_data import write_image, write_mask
from toy_run import small_segmentor

PAGE = 'docs/guide/python.md'
SIZE = (64, 64)
train = importlib.import_module('mmseg_ctt.lab.python_api.train')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """``photos`` with five masks, and two images without."""
    monkeypatch.chdir(tmp_path)
    names = ['street', 'a', 'b', 'c', 'd', 'e', 'f']
    for seed, name in enumerate(names):
        write_image(tmp_path / 'photos' / 'images' / f'{name}.jpg', seed, SIZE)
    for seed, name in enumerate(names[:5]):
        write_mask(tmp_path / 'photos' / 'masks' / f'{name}.png', seed, size=SIZE)
    return tmp_path / 'photos'


@pytest.fixture
def short(monkeypatch):
    """Two iterations in this process, without weights to download."""
    read = train.run_config

    def run_config(config, options):
        cfg = read(config, options)
        network = cfg.model.get('segmentor') or cfg.model
        small = small_segmentor()
        small['decode_head']['num_classes'] = network.decode_head.num_classes
        small['backbone']['init_cfg'] = None
        for part in ('backbone', 'decode_head'):
            del network[part]
            network[part] = small[part]
        for name in ('train', 'val', 'test'):
            loader = cfg.get(f'{name}_dataloader')
            loader.update(num_workers=0, persistent_workers=False)
        cfg.default_hooks.logger.interval = 1
        if cfg.train_cfg.max_iters == 1500:
            cfg.train_cfg.update(max_iters=2, val_interval=2)
        return cfg

    for name in ('train', 'evaluate', 'export'):
        module = importlib.import_module(f'mmseg_ctt.lab.python_api.{name}')
        monkeypatch.setattr(module, 'run_config', run_config)


def test_the_page_runs(folder, short, capsys):
    names: dict = {}
    for block in code(PAGE, 'python'):
        exec(compile(block, PAGE, 'exec'), names)
    assert names['run'].checkpoint.name == 'iter_2.pth'
    assert names['run'].work_dir == folder / 'runs' / 'ctt-plus'
    assert (folder / 'runs' / 'supervised' / 'iter_2.pth').is_file()
    assert (folder / 'runs' / 'fixmatch' / 'iter_2.pth').is_file()
    assert names['other'].members != names['run'].members
    assert names['files'].config.parent == folder / 'runs' / 'ctt-plus' / 'exported'
    printed = capsys.readouterr().out
    assert 'images' in printed and str(names['files'].checkpoint) in printed
    assert b'PNG' in names['result']._repr_png_()[:8]


def test_folder_in_which_every_image_has_a_mask(folder, short):
    for name in ('e', 'f'):
        (folder / 'images' / f'{name}.jpg').unlink()
    with pytest.raises(ValueError, match="method='ctt-plus' has nothing to add"):
        train.config_of_folder(folder, dict(method='ctt-plus'))
    assert train.config_of_folder(folder, {}).name == 'supervised.py'
