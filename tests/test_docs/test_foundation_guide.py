# Copyright (c) mmseg_ctt contributors.
"""The configs that the guide to foundation models shows can be read and built."""

import re

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from pages import ROOT

from mmseg_ctt.engine import prepare_config

pytest.importorskip('timm', reason='networks of timm: pip install "mmseg_ctt[timm]"')
GUIDE = (ROOT / 'docs/guide/foundation_models.md').read_text()
CONFIGS = [text for text in re.findall(r'```python\n(.*?)```', GUIDE, re.S) if '_base_ =' in text]


@pytest.mark.parametrize('text', CONFIGS)
def test_a_config_of_the_guide(text, tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    student = MODELS.build(prepare_config(Config.fromfile(path)).model).students[0].eval()
    with torch.inference_mode():
        logits = student._forward(torch.zeros(1, 3, 64, 64))
    assert logits.shape[:2] == (1, 5)


def test_the_guide_shows_one():
    assert any('segmentor_from' in text for text in CONFIGS)
