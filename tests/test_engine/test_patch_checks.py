# Copyright (c) mmseg_ctt contributors.
"""A run whose images cannot be cut into patches ends before its first iteration, with the sizes."""

import copy

import pytest
import torch
from leaves import leaf, shrink
from mmengine.runner import Runner
from mmseg.registry import MODELS
from toy_data import toy_config, write_toy_data

from mmseg_ctt.engine import prepare_config, run_checks
from mmseg_ctt.engine.patch_checks import check_first_image
from mmseg_ctt.engine.run_checks import check_all

CITYSCAPES = 'fixmatch/fixmatch_dinov2-s-dpt_cityscapes_1-8.py'


def made(change=lambda cfg: None):
    """A small copy of a config, whose patches are of 8 pixels, with a change; and its model."""
    cfg = copy.deepcopy(leaf(CITYSCAPES))
    shrink(cfg._cfg_dict)
    cfg.sizes.crop_size = None
    change(cfg)
    cfg = prepare_config(cfg)
    return cfg, MODELS.build(cfg.model)


def checked(change=lambda cfg: None):
    return check_all(*made(change))


def test_sizes_that_fit():
    checked()
    checked(lambda cfg: cfg.sizes.update(crop_size=(24, 56)))


def test_crops():
    words = (
        r'36x48 pixels, the crop_size of RandomCrop in train_dataloader.*labeled.*8x8 pixels; .*'
    )
    words += r'\(32, 48\) and \(40, 48\): set sizes.crop_size to one of them'
    with pytest.raises(ValueError, match=words):
        checked(lambda cfg: cfg.sizes.update(crop_size=(36, 48)))


def test_size_of_the_preprocessor():
    def change(cfg):
        cfg.model.segmentor.data_preprocessor.size = (33, 48)

    with pytest.raises(ValueError, match=r'33x48 pixels, the data_preprocessor.size,.*\(40, 48\)'):
        checked(change)


def test_windows():
    def change(cfg):
        cfg.model.segmentor.test_cfg.update(crop_size=(30, 32), stride=(16, 16))

    with pytest.raises(ValueError, match=r'30x32 pixels, the test_cfg.crop_size,.*\(32, 32\)'):
        checked(change)


@pytest.mark.parametrize('test_cfg', [None, dict(size_divisor=12)])
def test_images_of_validation_are_padded(test_cfg):
    def change(cfg):
        cfg.model.segmentor.data_preprocessor.test_cfg = test_cfg

    with pytest.raises(ValueError, match=r'test_cfg must be dict\(size_divisor=8\)'):
        checked(change)
    checked(lambda cfg: (change(cfg), cfg.update(val_dataloader=None, test_dataloader=None)))


def test_position_embeddings_of_one_size():
    def change(cfg):
        cfg.model.segmentor.backbone.dynamic_img_size = False

    with pytest.raises(ValueError, match='model.segmentor.backbone.dynamic_img_size=True'):
        checked(change)


# ---- a network of one size

FIXED = (32, 48)


def of_one_size(cfg, **changes):
    backbone = cfg.model.segmentor.backbone
    cfg.sizes.update(crop_size=FIXED)
    backbone.update(img_size=FIXED, dynamic_img_size=False, **changes)


def first_image(change, size, fixed=of_one_size):
    """The check of a first image of validation of ``size``, with a change of the config."""

    def changed(cfg):
        fixed(cfg)
        cfg.model.segmentor.test_cfg = dict(mode='whole')
        change(cfg)

    cfg, model = made(changed)
    check_all(cfg, model)
    check_first_image(cfg, model, dict(inputs=torch.zeros(3, *size)))


def same(cfg):
    """Images that all have the size, without a step of the pipeline that gives it to them."""


def pad(cfg):
    cfg.model.segmentor.data_preprocessor.test_cfg = dict(size=FIXED)


def divide(cfg):
    cfg.model.segmentor.data_preprocessor.test_cfg = dict(size_divisor=16)


def slide(cfg):
    cfg.model.segmentor.test_cfg = dict(mode='slide', crop_size=FIXED, stride=FIXED)


@pytest.mark.parametrize(
    'change, size', [(same, FIXED), (pad, (30, 41)), (divide, (31, 48)), (slide, (90, 81))]
)
def test_images_of_validation_that_have_the_only_size(change, size):
    first_image(change, size)


@pytest.mark.parametrize(
    'change, size', [(same, (32, 56)), (same, FIXED[::-1]), (pad, (33, 48)), (divide, (33, 48))]
)
def test_images_of_validation_of_another_size(change, size):
    """Each way that the message names is one that passes above."""
    words = r'images of 32x48 alone, .*val_dataloader.* pixels: set .*dynamic_img_size=True'
    with pytest.raises(ValueError, match=words) as error:
        first_image(change, size)
    for way in ("mode='slide', crop_size=(32, 48)", 'scale=(48, 32)', 'test_cfg=dict(size=(32, 48'):
        assert way in str(error.value)


def test_a_network_of_any_size():
    first_image(same, (40, 64), fixed=lambda cfg: None)


@pytest.mark.parametrize('step', [dict(type='A', scale=0.5), dict(type='A', size=3)])
def test_steps_do_not_matter(step):
    """A run with a network of one size is judged by its images, the test set is left out."""

    def change(cfg):
        of_one_size(cfg)
        for part in ('val', 'test'):
            cfg[f'{part}_dataloader'].dataset.pipeline.insert(1, step)

    checked(change)


def test_a_run_checks_its_first_image(tmp_path, monkeypatch):
    class Found(Exception):
        pass

    def check(cfg, model, sample):
        raise Found(model, tuple(sample['inputs'].shape[-2:]))

    monkeypatch.setattr(run_checks, 'check_first_image', check)
    cfg = toy_config(write_toy_data(tmp_path / 'data'), tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    with pytest.raises(Found) as error:
        runner.train()
    shape = tuple(runner.val_dataloader.dataset[0]['inputs'].shape[-2:])
    assert error.value.args == (runner.model, shape)
