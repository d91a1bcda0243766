# Copyright (c) mmseg_ctt contributors.
"""Configs in the pages for images of other than three channels build their network."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from pages import PAGES, code

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.nn.member import build_member

BASE = "_base_ = ['mmseg_ctt::ctt/ctt_deeplabv3plus_mobilenetv2_folder.py']\n"
BLOCKS = [
    pytest.param(block, id=page)
    for page in PAGES
    for block in code(page, 'python')
    if 'in_channels=' in block
]


def test_both_pages_are_here():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize('block', BLOCKS)
def test_network_takes_the_bands(tmp_path: Path, block: str):
    path = tmp_path / 'mine.py'
    path.write_text(block if '_base_' in block else BASE + block)
    cfg = prepare_config(Config.fromfile(path)).model.segmentor
    cfg.backbone.init_cfg = None
    bands = cfg.backbone.in_channels
    assert len(cfg.data_preprocessor.mean) == len(cfg.data_preprocessor.std) == bands
    maps = build_member(cfg).extract_feat(torch.zeros(2, bands, 64, 64))
    assert maps[-1].shape[0] == 2
