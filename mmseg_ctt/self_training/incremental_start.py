# Copyright (c) mmseg_ctt contributors.
"""Weights that fine-tuning starts from: the network of the step before, with more classes."""

import io
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from ..datasets.whole_files import write_whole
from ..methods.wilson.growth import check_old, grown_state, read_old


def write_start(cfg: Config, old_checkpoint: Path, old_classes: tuple, path: Path) -> None:
    """Write a checkpoint of a plain segmentor that begins as that of the step before.

    Classifiers of new classes are initialised by the seed of the config.

    Args:
        cfg (Config): Of the training; its model is the segmentor.
        old_checkpoint (Path): Of the step before.
        old_classes (tuple[str, ...]): Of the step before.
        path (Path): Of the file.

    Raises:
        ValueError: If the old checkpoint is of other classes or another architecture.
    """
    old = read_old(str(old_checkpoint))
    check_old(str(old_checkpoint), old, old_classes)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        network = MODELS.build(cfg.model)
        network.decode_head.init_weights()
    state = grown_state(network.state_dict(), old.state, 'default')
    data = io.BytesIO()
    torch.save(dict(meta={}, state_dict=state), data)
    write_whole(path, data.getvalue())


@contextmanager
def quiet() -> Iterator[None]:
    """Without mmengine's list of all initialised weights."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
