# Copyright (c) mmseg_ctt contributors.
"""A classifier with class maps, and a folder of class maps, on the toy data set."""

import json
from pathlib import Path
from typing import Sequence

import numpy as np
from toy_data import CLASSES, HEIGHT, LABELED, UNLABELED, WIDTH, toy_method, write_image
from toy_run import ToyRun, make_run

from mmseg_ctt.weak_labels.class_map_files import SETTINGS, ClassMaps, write_class_maps

STEMS = LABELED + UNLABELED


def classifier_run(tmp_path: Path) -> ToyRun:
    """Config and checkpoint of an image classifier whose weights are random."""
    return make_run(
        tmp_path,
        toy_method('ClassActivationMaps'),
        custom_imports=dict(imports=['mmseg_ctt', 'toy']),
    )


def write_toy_maps(
    root: Path,
    stems: Sequence[str] = ('a', 'b/c'),
    tags: Sequence[int] = (1, 3),
    background: bool = True,
) -> Path:
    """Images in ``img`` and random class maps of them in ``maps``; background is class 0."""
    generator = np.random.default_rng(0)
    for seed, stem in enumerate(stems):
        write_image(root / 'img' / f'{stem}.jpg', seed)
        maps = generator.random((len(tags), HEIGHT, WIDTH)).astype(np.float16)
        write_class_maps(root / 'maps', stem, ClassMaps(maps, np.array(tags), np.full(3, 0.5)))
    settings = dict(classes=list(CLASSES), background=background, refine='none')
    (root / 'maps' / SETTINGS).write_text(json.dumps(settings))
    return root / 'maps'
