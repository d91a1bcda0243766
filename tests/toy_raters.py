# Copyright (c) mmseg_ctt contributors.
"""The toy data set with masks of three raters: one careful, one noisy, one who skipped images."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from toy_data import CLASSES, CROP, LABELED, NUM_CLASSES, PALETTE, SPLIT, write_toy_data

RATERS = ('anna', 'ben', 'cem')
SKIPPED = LABELED[1]  # by the third rater


def write_raters(root: Path) -> Path:
    """Folders ``anna`` (the masks of the toy data), ``ben`` (other ids in blocks), ``cem``."""
    write_toy_data(root)
    for seed, stem in enumerate(LABELED):
        mask = np.array(Image.open(root / 'ann' / f'{stem}.png'))
        random = np.random.RandomState(seed)
        blocks = random.rand(mask.shape[0] // 8 + 1, mask.shape[1] // 8 + 1) < 0.3
        other = blocks.repeat(8, 0).repeat(8, 1)[: mask.shape[0], : mask.shape[1]]
        ben = np.where(other & (mask != 255), (mask + 1) % NUM_CLASSES, mask).astype(np.uint8)
        cem = mask.copy()
        cem[:16] = 255
        for name, values in zip(RATERS, (mask, ben, cem)):
            (root / name).mkdir(exist_ok=True)
            if (name, stem) != ('cem', SKIPPED):
                Image.fromarray(values).save(root / name / f'{stem}.png')
    return root


def rater_set(root: Path, strategy: str = 'random', maps=('consensus_margin',), **changes) -> dict:
    """Config of the labelled source; ``step`` in changes goes to the loading step."""
    step = changes.pop('step', {})
    cfg = dict(
        type='MultiRaterDataset',
        data_root=str(root),
        data_prefix=dict(img_path='img'),
        raters=list(RATERS),
        ann_file=f'{SPLIT}/labeled.txt',
        metainfo=dict(classes=CLASSES, palette=PALETTE),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadMultiRaterAnnotations', strategy=strategy, **step),
            dict(type='RandomCrop', crop_size=CROP),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSemiSegInputs', maps=maps),
        ],
    )
    return {**cfg, **changes}


def rater_semi(root: Path, strategy: str = 'random', **changes: Any) -> dict:
    """Config of labelled images of several raters and unlabelled ones."""
    unlabeled = rater_set(root, ann_file=f'{SPLIT}/unlabeled.txt')
    unlabeled['pipeline'] = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomCrop', crop_size=CROP),
        dict(type='PackSegInputs'),
    ]
    return dict(
        type='LabeledUnlabeledDataset',
        labeled=rater_set(root, strategy, **changes),
        unlabeled=unlabeled,
    )
