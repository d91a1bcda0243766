# Copyright (c) mmseg_ctt contributors.
"""Training copies of the toy data."""

from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmseg.registry import DATASETS
from toy_data import CROP, LABELED, UNLABELED, toy_config, write_image, write_mask

from mmseg_ctt.datasets.training_copy.make import Summary, make_copy
from mmseg_ctt.datasets.training_copy.options import options_of
from mmseg_ctt.datasets.training_copy.plan import Plan, plan_of_sources
from mmseg_ctt.engine.config import prepare_config

BIG, SCALE = (64, 96), (48, 32)  # height and width of the originals; scale of the pipeline


def big_images(root: Path) -> None:
    """Images and masks of twice the size of the toy data."""
    for seed, stem in enumerate(LABELED + UNLABELED):
        write_image(root / 'img' / f'{stem}.jpg', seed, BIG)
    for seed, stem in enumerate(LABELED):
        write_mask(root / 'ann' / f'{stem}.png', seed, size=BIG)


def prepared(root: Path, scale: Optional[tuple] = None, **changes: Any) -> Config:
    """Toy config with the steps of a run; with a scale all its pipelines resize to it, and crop."""
    cfg = toy_config(root, root / 'work', **changes)
    for source in cfg.train_dataloader.dataset.values():
        for step in source.get('pipeline', ()) if isinstance(source, dict) else ():
            if scale is not None and step['type'] == 'RandomResize':
                step.update(scale=scale, ratio_range=(1.0, 1.0))
            if scale is not None and step['type'] == 'RandomCrop':
                step.update(crop_size=(CROP[0] // 2, CROP[1] // 2))
    return prepare_config(cfg)


def training_set(cfg: Config, copy: Optional[Path] = None) -> Any:
    """Training set of a config, from the originals or a copy."""
    settings = dict(cfg.train_dataloader.dataset)
    if copy is not None:
        settings['training_copy'] = str(copy)
    return DATASETS.build(settings)


def plan_of(cfg: Config) -> Plan:
    return plan_of_sources(training_set(cfg).sources)


def copy_of(cfg: Config, folder: Path, format: str = 'raw', keep: bool = False) -> Summary:
    """Copy of the training set of a config, at the size that it needs or at that of the files."""
    plan = plan_of(cfg)
    options = options_of(format, 95, None if keep else plan.scale)
    return make_copy(plan, folder, options, report=str)
