# Copyright (c) mmseg_ctt contributors.
"""Configs of the second stage train on a folder of pseudo-labels."""

import json
import math
import shutil
import uuid

import pytest
from leaves import CONFIGS, parsed, shrink
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from toy_data import write_image, write_lists, write_mask

from mmseg_ctt.engine import prepare_config

FOLDER = CONFIGS / 'cam' / 'stage2'
STEMS = ('a', 'b', 'c', 'd')
OBJECTS = parsed(CONFIGS / '_base_' / 'datasets' / 'msrc21_tags.py').val_dataloader.dataset
ALL = parsed(CONFIGS / '_base_' / 'datasets' / 'msrc21.py').val_dataloader.dataset


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Images and masks as of MSRC-21, and pseudo-labels of the training images."""
    root, labels = tmp_path / 'msrc21', tmp_path / 'labels'
    for part in ('train', 'val'):
        for seed, stem in enumerate(STEMS):
            write_image(root / f'img_dir/{part}/{stem}.jpg', seed + 9 * (part == 'val'))
            write_mask(root / f'ann_dir/{part}/{stem}.png', seed, 21)
    (root / 'meta.json').write_text(json.dumps(dict(classes=ALL.metainfo.classes)))
    write_lists(root / 'splits/1_8/seed0', STEMS[:2], STEMS[2:])
    classes = list(OBJECTS.metainfo.classes)
    for seed, stem in enumerate(STEMS):
        write_mask(labels / f'masks/{stem}.png', seed, len(classes))
        write_mask(labels / f'confidence/{stem}.png', seed, 255)
    selected = [
        dict(image=str(root / f'img_dir/train/{s}.jpg'), mask=f'masks/{s}.png') for s in STEMS
    ]
    (labels / 'meta.json').write_text(json.dumps(dict(classes=classes)))
    (labels / 'manifest.json').write_text(json.dumps(dict(class_names=classes, selected=selected)))
    monkeypatch.setenv('MSRC21_ROOT', str(root))
    monkeypatch.setenv('PSEUDO_LABELS', str(labels))
    return root


def small(path, tmp_path):
    cfg = prepare_config(Config.fromfile(path))
    shrink(cfg._cfg_dict)
    cfg.sizes.crop_size = None
    cfg.train_dataloader.batch_size = 4
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), uuid.uuid4().hex
    cfg.default_hooks.checkpoint.interval = 100
    cfg.visualizer.update(vis_backends=[], name=cfg.experiment_name)
    return cfg


def weighted(cfg, labels):
    """The second stage with pixels weighted by the confidence of their pseudo-labels."""
    cfg.model.decode_head.loss_decode.weight_map = 'confidence'
    steps = cfg.train_dataloader.dataset.labeled.pipeline
    folders = dict(confidence=str(labels / 'confidence'))
    steps.insert(1, dict(type='LoadMaps', maps=folders, smooth=('confidence',)))
    steps[-1] = dict(type='PackSemiSegInputs', maps=('confidence',))
    return cfg


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_two_iterations(path, data, tmp_path):
    runner = Runner.from_cfg(small(path, tmp_path))
    found = []
    validate = runner.val_loop.run
    runner.val_loop.run = lambda: found.append(validate())
    runner.train()
    assert runner.iter == 2 and math.isfinite(found[0]['mIoU'])
    dataset = runner.train_dataloader.dataset
    if 'mean-teacher' in path.stem:  # masks of two images, pseudo-labels and tags of the others
        assert dataset.num_images == dict(labeled=4, unlabeled=2)
        masks = [dataset.labeled[i]['data_samples'].seg_map_path for i in range(4)]
        assert ['labels' in mask for mask in masks] == [False, False, True, True]
        assert 'unlabeled' in dataset.with_tags and runner.model.use_tags
    else:
        assert dataset.num_images == dict(labeled=4)
        infos = [dataset.labeled.get_data_info(i) for i in range(4)]
        assert all('labels/masks' in info['seg_map_path'] for info in infos)
        assert all(info['label_map'] is None for info in infos)


def test_pixels_are_weighted(data, tmp_path):
    path = FOLDER / 'cam-stage2_deeplabv3plus_mobilenetv2_msrc21.py'
    losses = []
    for labels in (None, tmp_path / 'labels'):
        cfg = small(path, tmp_path)
        runner = Runner.from_cfg(cfg if labels is None else weighted(cfg, labels))
        batch = next(iter(runner.train_dataloader))
        inputs = runner.model.data_preprocessor(batch, True)
        losses.append(runner.model(**inputs, mode='loss')['decode.loss_ce'].item())
    assert losses[0] != losses[1] and losses[1] > 0


def test_no_training_mask_is_read(data):
    """The second stage without masks of the training images."""
    shutil.rmtree(data / 'ann_dir/train')
    cfg = Config.fromfile(FOLDER / 'cam-stage2_deeplabv3plus_mobilenetv2_msrc21.py')
    dataset = DATASETS.build(prepare_config(cfg).train_dataloader.dataset)
    assert dataset[0]['data_samples'].gt_sem_seg.data.max() > 0
