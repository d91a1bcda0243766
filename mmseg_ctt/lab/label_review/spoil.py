# Copyright (c) mmseg_ctt contributors.
"""Masks with errors in known places, to measure how many label errors are found."""

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from PIL import Image
from scipy import ndimage

from ...engine.out_paths import check_new_folder

IGNORED = 255  # id of ignored pixels where nothing else is set
KINDS = ('class', 'shift')
MIN_REGION = 0.01  # of the image: smaller regions do not get another class
SHIFT = 0.1  # of each side
MANIFEST = 'spoilt.json'


def wrong_class(
    mask: np.ndarray, ids: Sequence[int], random: np.random.RandomState, ignore_index: int = IGNORED
) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Mask in which one connected region has the id of another class.

    The region is drawn among those of at least 1 % of the image; without any it is the largest.

    Args:
        mask (np.ndarray): ``(H, W)`` integer ids.
        ids (Sequence[int]): Ids that may be drawn.
        random (np.random.RandomState): Source of random numbers.
        ignore_index (int): Id that is no class. Defaults to 255.

    Returns:
        tuple[np.ndarray, dict]: The new mask; ``was``, ``is`` and number of ``pixels``.

    Raises:
        ValueError: If the mask has no class, or there is no other class.
    """
    found = np.setdiff1d(np.unique(mask), [ignore_index])
    if not len(found):
        raise ValueError('a mask without any class cannot be spoilt')
    # areas only: a map of each region would take as much memory as regions times pixels
    areas_of = [np.bincount(ndimage.label(mask == k)[0].ravel())[1:] for k in found]
    areas = np.concatenate(areas_of)
    large = np.flatnonzero(areas >= MIN_REGION * mask.size)
    chosen = int(large[random.randint(len(large))] if len(large) else np.argmax(areas))
    ends = np.cumsum([len(own) for own in areas_of])
    of_class = int(np.searchsorted(ends, chosen, side='right'))
    old = int(found[of_class])
    number = chosen - (ends[of_class - 1] if of_class else 0) + 1
    region = ndimage.label(mask == old)[0] == number
    others = [k for k in ids if k != old]
    if not others:
        raise ValueError('masks of a single class cannot get another class')
    new = int(others[random.randint(len(others))])
    made = np.where(region, mask.dtype.type(new), mask)
    return made, {'was': old, 'is': new, 'pixels': int(areas[chosen])}


def shifted(
    mask: np.ndarray, random: np.random.RandomState, ignore_index: int = IGNORED
) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Mask that lies beside its image, moved by a tenth of each side.

    Args:
        mask (np.ndarray): ``(H, W)`` integer ids.
        random (np.random.RandomState): Draws the directions.
        ignore_index (int): Id of pixels where nothing is known. Defaults to 255.

    Returns:
        tuple[np.ndarray, dict]: The new mask; ``down_right`` in pixels, and number of ``pixels``
        whose id changed to another class.
    """
    signs = random.randint(0, 2, 2) * 2 - 1
    offset = [int(sign * max(1, round(SHIFT * side))) for sign, side in zip(signs, mask.shape)]
    made = ndimage.shift(mask, offset, order=0, mode='constant', cval=ignore_index)
    changed = (made != mask) & (made != ignore_index) & (mask != ignore_index)
    return made, {'down_right': offset, 'pixels': int(changed.sum())}


def spoil_masks(
    folder: Path,
    masks: Mapping[str, str],
    out: Path,
    listed: Sequence[str],
    fraction: float = 0.05,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
    ignore_index: int = IGNORED,
) -> List[Dict[str, Any]]:
    """Copy masks to a folder, some of them with an error.

    The kinds take turns: ``class`` is :func:`wrong_class`, ``shift`` is :func:`shifted`.

    Args:
        folder (Path): Folder of the masks.
        masks (Mapping[str, str]): Files below it by the stem of their image.
        out (Path): Folder, which must be empty or absent; gets the masks and ``spoilt.json``.
        listed (Sequence[str]): Stems that may be spoilt.
        fraction (float): Fraction of them that is, at least one. Defaults to 0.05.
        kinds (Sequence[str]): Of the errors. Defaults to both.
        seed (int): Defaults to 0.
        ignore_index (int): Id of ignored pixels in the files. Defaults to 255.

    Returns:
        list[dict]: ``name``, ``kind`` and what was changed, of every spoilt mask.

    Raises:
        ValueError: If a setting is out of range, or the folder is not empty.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f'the fraction must be in (0, 1], got {fraction}')
    if not kinds or set(kinds) - set(KINDS):
        raise ValueError(f'kinds of errors are {", ".join(KINDS)}, got {list(kinds)}')
    check_new_folder(out)
    random = np.random.RandomState(seed)
    number = max(1, round(fraction * len(listed)))
    chosen = [sorted(listed)[i] for i in random.permutation(len(listed))[:number]]
    ids = sorted({int(k) for name in masks.values() for k in np.unique(_read(folder / name))})
    ids = [k for k in ids if k != ignore_index]
    made = []
    for i, stem in enumerate(chosen):
        kind = kinds[i % len(kinds)]
        mask = _read(folder / masks[stem])
        if kind == 'class':
            new, facts = wrong_class(mask, ids, random, ignore_index)
        else:
            new, facts = shifted(mask, random, ignore_index)
        made.append((stem, new, {'name': stem, 'kind': kind, **facts}))
    _write(folder, masks, out, {stem: new for stem, new, _ in made})
    entries = sorted((entry for _, _, entry in made), key=lambda entry: entry['name'])
    settings = dict(seed=seed, fraction=fraction, kinds=list(kinds), of=len(listed))
    (out / MANIFEST).write_text(
        json.dumps(dict(settings, spoilt=entries), indent=1) + '\n', encoding='utf-8'
    )
    return entries


def read_manifest(path: Path) -> List[str]:
    """Names of the spoilt masks in a manifest of :func:`spoil_masks`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'the manifest {path} does not exist')
    try:
        return [str(entry['name']) for entry in json.loads(path.read_text('utf-8'))['spoilt']]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'{path} is no {MANIFEST} of spoil_masks.py') from None


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def _write(
    folder: Path, masks: Mapping[str, str], out: Path, spoilt: Mapping[str, np.ndarray]
) -> None:
    """All masks under their own names; spoilt ones keep the palette of their file."""
    for stem, name in masks.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if stem not in spoilt:
            shutil.copy2(folder / name, out / name)
            continue
        image = Image.fromarray(spoilt[stem])
        with Image.open(folder / name) as old:
            palette = old.getpalette() if old.mode == 'P' else None
        if palette is not None:
            image.putpalette(palette)
        image.save(out / name)
