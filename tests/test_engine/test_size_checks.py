# Copyright (c) mmseg_ctt contributors.
"""What a user sets above `sizes` is not replaced in silence."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_ctt.engine import merge_options
from mmseg_ctt.engine.config import prepare_config

ROOT = Path(__file__).resolve().parents[2]
LONG = 'mmseg_ctt::supervised/supervised_dinov2-s-dpt_voc_92.py'  # with sizes.max_iters


def written(folder, text):
    path = folder / 'mine.py'
    path.write_text(f'_base_ = [{LONG!r}]\n{text}')
    return path


@pytest.mark.parametrize(
    'setting, remedy',
    [
        ('train_cfg = dict(max_iters=20)', r'train_cfg.max_iters=20 would be .*sizes.max_iters=20'),
        (
            'sizes = dict(num_classes=4)\nmodel = dict(decode_head=dict(num_classes=3))',
            None,  # one file has both: the entry of `sizes` is the one that counts
        ),
        ('sizes = dict(max_iters=30)\ntrain_cfg = dict(max_iters=20)', None),
    ],
)
def test_a_file(setting, remedy, tmp_path):
    path = written(tmp_path, setting)
    if remedy is None:
        Config.fromfile(path)
        return
    with pytest.raises(ValueError, match=remedy):
        Config.fromfile(path)


def test_a_file_above_the_one_with_sizes(tmp_path):
    below = written(tmp_path, 'sizes = dict(num_classes=4, crop_size=(56, 56))')
    above = tmp_path / 'above.py'
    above.write_text(f'_base_ = [{str(below)!r}]\nmodel = dict(decode_head=dict(num_classes=3))\n')
    with pytest.raises(ValueError, match='model.decode_head.num_classes=3 .* set sizes.num_cl'):
        Config.fromfile(above)


@pytest.mark.parametrize(
    'options, remedy',
    [
        ({'train_cfg.max_iters': 2}, 'set sizes.max_iters=2'),
        ({'train_cfg.max_iters': 2, 'sizes.max_iters': 2}, None),
        ({'sizes.max_iters': 2}, None),
        ({'train_cfg.val_interval': 2}, None),
    ],
)
def test_an_option(options, remedy, tmp_path):
    cfg = Config.fromfile(written(tmp_path, ''))
    if remedy is None:
        merge_options(cfg, options)
        length = 2 if any('max_iters' in key for key in options) else cfg.sizes.max_iters
        assert prepare_config(cfg).train_cfg.max_iters == length
        return
    with pytest.raises(ValueError, match=remedy):
        merge_options(cfg, options)


def test_an_option_that_sizes_does_not_replace():
    cfg = Config.fromfile(ROOT / 'configs/ctt/ctt_deeplabv3plus_mobilenetv2_camvid_1-8.py')
    merge_options(cfg, {'train_cfg.max_iters': 20})
    assert prepare_config(cfg).train_cfg.max_iters == 20
