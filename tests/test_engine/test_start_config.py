# Copyright (c) mmseg_ctt contributors.
"""Reading the config of a start, the checkpoint that is resumed."""

import argparse
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg_ctt.engine.start_config import default_work_dir, find_config, set_resume


def test_resume_from_latest_or_named_checkpoint(tmp_path: Path):
    def resumed(value: str) -> tuple:
        cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth', resume=False))
        set_resume(cfg, value)
        return cfg.resume, cfg.load_from

    assert resumed('auto') == (False, 'weights.pth')  # the first start of a job that is requeued
    torch.save({}, tmp_path / 'iter_3.pth')
    (tmp_path / 'last_checkpoint').write_text('work_dirs/elsewhere/iter_3.pth')
    assert resumed('auto') == (True, str(tmp_path / 'iter_3.pth'))
    (tmp_path / 'iter_1.pth').touch()
    assert resumed(str(tmp_path / 'iter_1.pth')) == (True, str(tmp_path / 'iter_1.pth'))
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        resumed('absent.pth')


def test_what_a_job_resumes_from_that_saved_nothing(tmp_path: Path):
    """From the checkpoint of another run, until it has one of its own."""
    other = tmp_path / 'other.pth'
    other.touch()
    cfg = Config(dict(work_dir=str(tmp_path / 'work'), load_from=None, resume=False))
    set_resume(cfg, 'auto', str(other))
    assert (cfg.resume, cfg.load_from) == (True, str(other))
    (tmp_path / 'work').mkdir()
    torch.save({}, tmp_path / 'work' / 'iter_3.pth')
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(tmp_path / 'work' / 'iter_3.pth'))
    set_resume(cfg, 'auto', str(other))
    assert cfg.load_from == str(tmp_path / 'work' / 'iter_3.pth')
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        set_resume(Config(dict(work_dir=str(tmp_path / 'new'))), 'auto', 'absent.pth')


def test_config_of_the_package_is_found_by_its_name_alone(repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as `mim run mmseg_ctt train NAME.py` from any folder
    name = 'ctt_deeplabv3plus_streets_1-8.py'
    assert Path(find_config(name)).samefile(repo_root / 'configs' / 'ctt' / name)
    (tmp_path / name).touch()
    assert find_config(name) == name  # a file that is there comes first
    for missing in ('streets.py', f'ctt/{name}'):
        with pytest.raises(FileNotFoundError, match=missing):
            find_config(missing)


OPTIONS = {'segmentor_from': 'mmseg::a/b.py', 'method': 'cps'}
FORMER, NEW = 'work_dirs/toy_cps', 'work_dirs/toy_cps_b'
NETWORK = dict(backbone=dict(type='B'), decode_head=dict(type='H'))


def started(load_tool, monkeypatch, work_dir=None, resume='auto'):
    """`load_config` of the tools for a start with another network; returns the work dir."""
    common = load_tool('_common').module
    cfg = Config(dict(model=dict(segmentor=NETWORK), work_dir=None))
    monkeypatch.setattr(common, 'read_config', lambda *_: cfg)
    arguments = dict(work_dir=work_dir, launcher='none', local_rank=0, resume=resume)
    args = argparse.Namespace(config='toy.py', cfg_options=OPTIONS, **arguments)
    return common.load_config(args).work_dir


def saved(folder, **network):
    Path(folder).mkdir(parents=True)
    torch.save({}, f'{folder}/iter_3.pth')
    if network:
        model = dict(segmentor={**NETWORK, **network})
        Config(dict(model=model)).dump(f'{folder}/toy.py')


def test_a_run_in_the_folder_of_earlier_versions_is_not_begun_anew(
    tmp_path, load_tool, monkeypatch
):
    """Their name of the default folder did not end in the network."""
    monkeypatch.chdir(tmp_path)
    assert default_work_dir('toy.py', OPTIONS) == NEW
    assert started(load_tool, monkeypatch) == NEW  # the first start of a job that is requeued
    saved(FORMER, backbone=dict(type='B', init_cfg=dict(type='Pretrained')))
    words = f'but {FORMER} has, .*add --work-dir {FORMER} to go on .* --work-dir {NEW} to begin'
    with pytest.raises(ValueError, match=words):
        started(load_tool, monkeypatch)
    assert started(load_tool, monkeypatch, resume=None) == NEW
    for folder in (FORMER, NEW):  # what the message says
        assert started(load_tool, monkeypatch, work_dir=folder) == folder
    saved(NEW)
    assert started(load_tool, monkeypatch) == NEW


@pytest.mark.parametrize('part', ['backbone', 'decode_head'])
def test_a_run_of_another_network_is_no_hindrance(tmp_path, load_tool, monkeypatch, part):
    """Such as that of the config without `segmentor_from`."""
    monkeypatch.chdir(tmp_path)
    saved(FORMER, **{part: dict(type='other')})
    assert started(load_tool, monkeypatch) == NEW


def test_a_run_without_a_recorded_config(tmp_path, load_tool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(FORMER)
    with pytest.raises(ValueError, match=f'add --work-dir {FORMER}'):
        started(load_tool, monkeypatch)
