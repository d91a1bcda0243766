# Copyright (c) mmseg_ctt contributors.
"""Reading the config of a start, the checkpoint that is resumed."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg_ctt.engine.start_config import find_config, set_resume


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


def test_config_of_the_package_is_found_by_its_name_alone(repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as `mim run mmseg_ctt train NAME.py` from any folder
    name = 'ctt_deeplabv3plus_streets_1-8.py'
    assert Path(find_config(name)).samefile(repo_root / 'configs' / 'ctt' / name)
    (tmp_path / name).touch()
    assert find_config(name) == name  # a file that is there comes first
    for missing in ('streets.py', f'ctt/{name}'):
        with pytest.raises(FileNotFoundError, match=missing):
            find_config(missing)
