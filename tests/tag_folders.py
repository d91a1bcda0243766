# Copyright (c) mmseg_ctt contributors.
"""Tiny folders of images with tags, for tests."""

import json
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import numpy as np
from PIL import Image

from mmseg_ctt.datasets.tagged import TaggedImageDataset

CLASSES = ('background', 'cow', 'grass', 'traffic light')
STEMS = ('a', 'b', 's/c')


def make_image(path: Path, colour: int = 0) -> None:
    """An image of 6x4 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((4, 6, 3), colour, np.uint8)
    Image.fromarray(pixels).save(path, format='PNG')


def make_mask(path: Path, ids: Sequence[int]) -> None:
    """A mask of 6x4 pixels whose first pixels have the ids and whose others are 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((4, 6), 255, np.uint8)
    pixels.flat[: len(ids)] = ids
    Image.fromarray(pixels).save(path)


def make_images(root: Path, stems: Sequence[str] = STEMS) -> Path:
    """Images ``img/<stem>.jpg``."""
    for number, stem in enumerate(stems):
        make_image(root / 'img' / f'{stem}.jpg', number)
    return root


def tagged(root: Path, tags: Any = 'tags.json', **changes: Any) -> TaggedImageDataset:
    """The data set of :func:`make_images`."""
    changes.setdefault('metainfo', dict(classes=CLASSES))
    changes.setdefault('data_prefix', dict(img_path='img'))
    return TaggedImageDataset(data_root=str(root), tags=tags, **changes)


def write_json(root: Path, tags: Optional[Mapping[str, Any]], text: str = '') -> Path:
    """The file ``tags.json``."""
    path = root / 'tags.json'
    path.write_text(text or json.dumps(tags))
    return path


def names(dataset: TaggedImageDataset) -> dict:
    """Names of the tags of each image by its stem."""
    classes = dataset.metainfo['classes']
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['stem']: [classes[k] for k in info['tags']] for info in infos}
