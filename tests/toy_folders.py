# Copyright (c) mmseg_ctt contributors.
"""Folders of images and masks as people have them, of a few tiny files."""

import json
from pathlib import Path
from typing import Callable, Dict, Sequence

import numpy as np
from image_makers import tiff
from PIL import Image

SIZE = (32, 48)  # height and width
COLOURS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142]], np.uint8)
MASKED, BARE = [f'{k:02}' for k in range(6)], [f'{k:02}' for k in range(6, 9)]


def blocks(seed: int, limit: int, *channels: int) -> np.ndarray:
    """Random integers below ``limit`` in blocks of 8 pixels."""
    numbers = np.random.RandomState(seed).randint(0, limit, (SIZE[0] // 8, SIZE[1] // 8, *channels))
    return numbers.repeat(8, 0).repeat(8, 1)


def save(path: Path, pixels: np.ndarray) -> None:
    """An image of 8 bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def photos(root: Path, stems: Sequence[str], folder: str = 'images', end: str = '.jpg') -> None:
    for stem in stems:
        save(root / folder / f'{stem}{end}', blocks(hash_of(stem), 256, 3))


def hash_of(stem: str) -> int:
    """Seed of an image, another for each name."""
    return sum((k + 1) * ord(letter) for k, letter in enumerate(stem)) % 100003


def masks(
    root: Path, stems: Sequence[str], folder: str = 'masks', end: str = '.png', values=(0, 1, 2)
) -> None:
    for stem in stems:
        ids = blocks(hash_of(stem), len(values))
        save(root / folder / f'{stem}{end}', np.array(values)[ids])


def name_classes(root: Path) -> None:
    (root / 'meta.json').write_text(json.dumps(dict(classes=['sky', 'road', 'car'])))


def plain_ids(root: Path) -> None:
    photos(root, MASKED + BARE)
    masks(root, MASKED)
    name_classes(root)


def no_meta(root: Path) -> None:
    photos(root, MASKED + BARE)
    masks(root, MASKED)


def palette_images(root: Path) -> None:
    photos(root, MASKED + BARE, 'JPEGImages')
    (root / 'SegmentationClass').mkdir()
    for stem in MASKED:
        image = Image.fromarray(blocks(hash_of(stem), 3).astype(np.uint8), 'P')
        image.putpalette(COLOURS.reshape(-1).tolist())
        image.save(root / 'SegmentationClass' / f'{stem}.png')


def colour_masks(root: Path) -> None:
    photos(root, MASKED + BARE)
    masks(root, MASKED, 'colour_masks', values=COLOURS)


def binary(root: Path) -> None:
    photos(root, MASKED + BARE, 'imgs')
    masks(root, MASKED, 'labels', values=(0, 255))


def endings(root: Path) -> None:
    photos(root, MASKED + BARE, '.')
    masks(root, MASKED, '.', '_GT.png')


def val_folder(root: Path) -> None:
    photos(root, MASKED + BARE, 'train/images')
    masks(root, MASKED, 'train/masks', '_GT.png')
    photos(root, MASKED[:2], 'val/images')
    masks(root, MASKED[:2], 'val/masks')
    for stem in MASKED[:2]:  # of equal names, not of equal content
        save(root / 'val/images' / f'{stem}.jpg', blocks(ord(stem[1]) + 5000, 256, 3))


def unlabeled_folder(root: Path) -> None:
    photos(root, MASKED)
    masks(root, MASKED)
    photos(root, BARE, 'unlabeled')


def tags(root: Path) -> None:
    stems = [f'{("sky", "road", "car")[k % 3]}/{stem}' for k, stem in enumerate(MASKED + BARE)]
    photos(root, stems)
    masks(root, stems[: len(MASKED)])
    name_classes(root)


def single(root: Path) -> None:
    photos(root, MASKED + BARE)
    masks(root, MASKED[:1])


def deep(root: Path) -> None:
    masks(root, MASKED)
    (root / 'images').mkdir(parents=True)
    for stem in MASKED + BARE:
        values = blocks(hash_of(stem), 4096).astype(np.uint16)
        Image.fromarray(values).save(root / 'images' / f'{stem}.png')


def grey(root: Path) -> None:
    masks(root, MASKED)
    for stem in MASKED + BARE:
        save(root / 'images' / f'{stem}.png', blocks(hash_of(stem), 256))


def five_bands(root: Path) -> None:
    masks(root, MASKED)
    (root / 'images').mkdir(parents=True)
    for stem in MASKED + BARE:
        values = blocks(hash_of(stem), 10000, 5).astype(np.uint16)
        (root / 'images' / f'{stem}.tif').write_bytes(tiff(values))


KINDS: Dict[str, Callable[[Path], None]] = dict(
    plain_ids=plain_ids,
    no_meta=no_meta,
    palette_images=palette_images,
    colour_masks=colour_masks,
    binary=binary,
    endings=endings,
    val_folder=val_folder,
    unlabeled_folder=unlabeled_folder,
    tags=tags,
    single=single,
    deep=deep,
    grey=grey,
    five_bands=five_bands,
)
