# Copyright (c) mmseg_ctt contributors.
"""A run whose images cannot be cut into patches ends before its first iteration, with the sizes."""

import copy

import pytest
from leaves import leaf, shrink
from mmseg.registry import MODELS

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.run_checks import check_all

CITYSCAPES = 'fixmatch/fixmatch_dinov2-s-dpt_cityscapes_1-8.py'


def checked(change=lambda cfg: None):
    """A small copy of a config, whose patches are of 8 pixels, with a change."""
    cfg = copy.deepcopy(leaf(CITYSCAPES))
    shrink(cfg._cfg_dict)
    cfg.sizes.crop_size = None
    change(cfg)
    cfg = prepare_config(cfg)
    return check_all(cfg, MODELS.build(cfg.model))


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


def pipelines(cfg):
    return [cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline]


def pad(cfg):
    cfg.model.segmentor.data_preprocessor.test_cfg = dict(size=FIXED)


def slide(cfg):
    cfg.model.segmentor.test_cfg = dict(mode='slide', crop_size=FIXED, stride=FIXED)


def resize(cfg, **settings):
    for steps in pipelines(cfg):
        steps.insert(1, dict(type='Resize', scale=FIXED[::-1], **settings))


def train_alone(cfg):
    cfg.update(val_dataloader=None, test_dataloader=None)


def whole(cfg):
    cfg.model.segmentor.test_cfg = dict(mode='whole')
    for steps in pipelines(cfg):
        steps[:] = [step for step in steps if step['type'] != 'Resize']


@pytest.mark.parametrize('change', [pad, slide, resize, train_alone])
def test_images_of_validation_that_have_the_only_size(change):
    checked(lambda cfg: (of_one_size(cfg), whole(cfg), change(cfg)))


def test_images_of_validation_of_any_size():
    """Each way that the message names is one that passes above."""
    words = r'images of 32x48 alone, .*val_dataloader.* any size: set .*dynamic_img_size=True'
    with pytest.raises(ValueError, match=words) as error:
        checked(lambda cfg: (of_one_size(cfg), whole(cfg)))
    for way in ("mode='slide', crop_size=(32, 48)", 'scale=(48, 32)', 'test_cfg=dict(size=(32, 48'):
        assert way in str(error.value)


@pytest.mark.parametrize(
    'change',
    [
        lambda cfg: resize(cfg, keep_ratio=True),
        lambda cfg: (resize(cfg), pipelines(cfg)[1].append(dict(type='Pad', size=(64, 64)))),
    ],
)
def test_steps_that_may_leave_another_size(change):
    with pytest.raises(ValueError, match='images of 32x48 alone'):
        checked(lambda cfg: (of_one_size(cfg), whole(cfg), change(cfg)))
