# Copyright (c) mmseg_ctt contributors.
"""``image_loading`` in all pipelines of a config, and steps that such images rule out."""

import copy
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from leaves import leaf
from mmengine.config import Config
from mmseg.engine import SegVisualizationHook
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from toy_data import toy_config

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.image_steps import lost_in_stock, use_image_loading
from mmseg_ctt.engine.pipeline_steps import stock_steps, use_checked_steps

STREETS = 'ctt/ctt_deeplabv3plus_streets_1-8.py'
LOADER = 'CheckedLoadImageFromFile'


def steps_of(node, kind):
    """Every step of a type in a config."""
    if isinstance(node, dict):
        if node.get('type') == kind:
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from steps_of(value, kind)


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmseg_ctt.engine.image_steps.print_log',
        lambda message, logger, level: said.append(message) if level == logging.WARNING else None,
    )
    return said


def test_all_pipelines_load_by_the_reader(warnings):
    cfg = copy.deepcopy(leaf(STREETS))
    before = len(list(steps_of(cfg._cfg_dict, 'LoadImageFromFile')))
    distortions = len(list(steps_of(cfg._cfg_dict, 'PhotoMetricDistortion')))
    prepare_config(cfg)
    used = [cfg[key] for key in ('train_dataloader', 'val_dataloader', 'test_dataloader')]
    used.append(cfg.tta_pipeline)
    assert not list(steps_of(used, 'LoadImageFromFile'))
    assert len(list(steps_of(used, LOADER))) == 5 <= before
    assert len(list(steps_of(cfg._cfg_dict, 'PhotoMetricDistortion'))) == distortions > 0
    assert not warnings


@pytest.mark.parametrize(
    'given, channels, reason',
    [
        (dict(color_type='grayscale'), 1, 'the images have 1 channel'),
        (dict(color_type='unchanged'), 4, 'the images have 4 channels'),
        (dict(value_range=(0, 4095)), 3, 'values that are not of 8 bit'),
    ],
)
def test_settings_reach_every_pipeline(warnings, given, channels, reason):
    cfg = copy.deepcopy(leaf(STREETS))
    cfg.image_loading = given
    cfg.a_variable = copy.deepcopy(cfg.train_dataloader.dataset.labeled.pipeline)
    preprocessor = cfg.model.segmentor.data_preprocessor
    preprocessor.update(mean=[110.0] * channels, std=[60.0] * channels)
    prepare_config(cfg)
    loaders = list(steps_of(cfg.train_dataloader, LOADER)) + list(
        steps_of(cfg.tta_pipeline, LOADER)
    )
    assert len(loaders) == 3
    for step in loaders:
        assert {name: step[name] for name in given} == given
    assert not list(steps_of(cfg.train_dataloader, 'PhotoMetricDistortion'))
    (line,) = warnings
    assert line.startswith('train_dataloader.dataset.labeled.pipeline: PhotoMetricDistortion is')
    assert reason in line
    prepare_config(cfg)
    assert len(warnings) == 1


def test_unchanged_photos_keep_their_steps(warnings):
    cfg = copy.deepcopy(leaf(STREETS))
    cfg.image_loading = dict(color_type='unchanged')
    assert list(steps_of(prepare_config(cfg).train_dataloader, 'PhotoMetricDistortion'))
    assert not warnings


@pytest.mark.parametrize(
    'given, error, words',
    [
        (7, TypeError, 'image_loading'),
        (dict(range=(0, 1)), ValueError, 'image_loading.*range'),
        (dict(value_range=(1, 0)), ValueError, 'image_loading.value_range'),
        (dict(color_type='grey'), ValueError, 'image_loading.color_type'),
    ],
)
def test_bad_settings(given, error, words):
    cfg = copy.deepcopy(leaf(STREETS))
    cfg.image_loading = given
    with pytest.raises(error, match=words):
        prepare_config(cfg)


def test_settings_without_a_pipeline():
    with pytest.raises(ValueError, match='image_loading=.* would change nothing'):
        prepare_config(Config(dict(model=dict(), image_loading=dict(color_type='grayscale'))))


def test_steps_inside_steps(warnings):
    inner = [[dict(type='PhotoMetricDistortion')], [dict(type='RandomFlip', prob=0.5)]]
    pipeline = [
        dict(type='LoadImageFromFile', color_type='grayscale'),
        dict(type='RandomChoice', transforms=inner),
    ]
    cfg = Config(dict(model=dict(), train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    transforms = prepare_config(cfg).train_dataloader.dataset.pipeline[1].transforms
    assert transforms == [[], [dict(type='RandomFlip', prob=0.5)]]
    assert len(warnings) == 1


def test_what_stock_mmseg_loses():
    pipeline = [dict(type=LOADER, color_type='unchanged', value_range=(0, 9)), dict(type='Resize')]
    assert stock_steps(pipeline) == [
        dict(type='LoadImageFromFile', color_type='unchanged'),
        dict(type='Resize'),
    ]
    scale, turn = lost_in_stock(pipeline, 'test_dataloader.dataset.pipeline')
    assert scale.startswith('test_dataloader.dataset.pipeline: stock mmseg does not scale')
    assert 'orientation tag' in turn
    assert not lost_in_stock([dict(type=LOADER)], 'x')


def test_the_hook_draws_on_any_image(tmp_path):
    """mmseg's own reading ends in an OpenCV error for numbers with a point."""
    import cv2

    path = str(tmp_path / 'x.tif')
    assert cv2.imwrite(path, np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8))
    drawn = []
    SegLocalVisualizer.get_instance('of this test')
    hook = SegVisualizationHook(draw=True)
    hook._visualizer = SimpleNamespace(add_datasample=lambda name, image, **_: drawn.append(image))
    sample = SegDataSample(metainfo=dict(img_path=path))
    hook._after_iter(SimpleNamespace(iter=0), 49, {}, [sample], 'test')
    (image,) = drawn
    assert image.shape == (6, 8, 3) and image.dtype == np.uint8
    assert image.min() == 0 and image.max() == 255


def test_toy_configs_have_the_reader(root, tmp_path):
    cfg = prepare_config(toy_config(root, tmp_path / 'work'))
    assert len(list(steps_of(cfg.train_dataloader, LOADER))) == 2


def test_a_config_without_images_to_score_predicts_by_its_variable():
    cfg = dict(
        image_loading=dict(color_type='grayscale', value_range=(0, 4095)),
        test_pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')],
        test_dataloader=None,
    )
    use_checked_steps(cfg)
    use_image_loading(cfg)
    assert cfg['test_pipeline'][0] == dict(
        type=LOADER, color_type='grayscale', value_range=(0, 4095)
    )
