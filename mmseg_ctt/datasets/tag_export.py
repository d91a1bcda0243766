# Copyright (c) mmseg_ctt contributors.
"""Files of tags, from masks or from folders by class, and their comparison with masks."""

import json
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from .image_files import MASK_SUFFIX, find_images, find_masks
from .lists import PathLike
from .split_masks import known_classes, refuse_colours
from .tag_checks import usual_background
from .tag_files import ClassNames, Tags, read_tags, tags_by_stem
from .tag_folders import tags_of_folders, tags_of_masks


class Comparison(NamedTuple):
    """Tags of images beside the classes of their masks.

    Attributes:
        stems (list[str]): N images that have both.
        classes (list[str]): C names.
        tags (np.ndarray): bool ``(N, C)``.
        shown (np.ndarray): bool ``(N, C)``, classes of which the mask has enough pixels.
    """

    stems: List[str]
    classes: List[str]
    tags: np.ndarray
    shown: np.ndarray


def read_mask_tags(
    folder: PathLike,
    meta: Optional[PathLike] = None,
    suffix: str = MASK_SUFFIX,
    min_pixels: int = 1,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
) -> Tags:
    """Names of the classes that each mask of a folder shows, by stem; a background is left out.

    Args:
        folder (str | Path): Of the masks.
        meta (str | Path, optional): JSON file with the classes. Defaults to None: a ``meta.json``
            in the folder or next to it.
        suffix (str): End of the names of masks. Defaults to ``'.png'``.
        min_pixels (int): Pixels from which a class is a tag. Defaults to 1.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): As in mmseg. Defaults to False.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        ValueError: If classes are not known, there is no mask, or a mask is wrong.
    """
    if min_pixels < 1:
        raise ValueError(f'min_pixels must be positive, got {min_pixels}')
    classes = known_classes(folder, meta)
    if classes is None:
        raise ValueError(
            f'names of the classes are needed: write {{"classes": [...]}} to '
            f'{Path(folder).parent / "meta.json"}, or give a file of that form (--meta)'
        )
    masks = find_masks(folder, suffix)
    if not masks:
        raise ValueError(f'no file in {folder} ends in {suffix}')
    refuse_colours(folder, list(masks.values()), suffix)
    infos = [
        dict(seg_map_path=str(Path(folder, name)), reduce_zero_label=reduce_zero_label)
        for name in masks.values()
    ]
    background = usual_background(classes)
    ids = tags_of_masks(infos, classes, background, min_pixels, ignore_index)
    return {stem: tuple(classes[k] for k in found) for stem, found in zip(masks, ids)}


def read_folder_tags(folder: PathLike) -> Tags:
    """Names of the folders by class in which images lie; see :func:`tags_of_folders`.

    Each file has an entry, since a file of tags needs one for every image of its folder; copies of
    one image have the tags of all of them.

    Args:
        folder (str | Path): Holds a folder for each class; that of a background holds images
            without any.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If there is no image, or an image is in no folder.
    """
    images = find_images(folder)
    if not images:
        raise ValueError(f'no image was found in {folder}')
    classes = sorted({file.partition('/')[0] for file in images.values() if '/' in file})
    background = next((name for name in classes if usual_background([name])), None)
    names = ClassNames(classes, background)
    found = tags_of_folders(images, list(images), folder, names, copies=True)
    return dict(sorted(found.items()))


def compare(tags: PathLike, masks: Tags, classes: Sequence[str]) -> Comparison:
    """Tags of a file beside those of masks.

    Args:
        tags (str | Path): JSON or CSV.
        masks (dict): As from :func:`read_mask_tags`.
        classes (Sequence[str]): Of the masks.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is malformed, or no image has both.
    """
    names = ClassNames(classes, usual_background(classes))
    found, _ = tags_by_stem(read_tags(tags, names), {stem: stem for stem in masks}, tags)
    rows = [[set(names.indices(given[stem])) for stem in found] for given in (found, masks)]
    hot = [
        np.array([[k in row for k in range(len(classes))] for row in part], bool) for part in rows
    ]
    return Comparison(list(found), list(classes), *hot)


def write_tags(path: PathLike, tags: Tags) -> None:
    """Write tags as JSON, one image a line.

    Args:
        path (str | Path): A file that does not exist.
        tags (dict): Names by stem.

    Raises:
        ValueError: If the file exists.
    """
    path = Path(path)
    lines = [f'  {json.dumps(stem)}: {json.dumps(list(found))}' for stem, found in tags.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, 'x', encoding='utf-8') as file:
            file.write('{\n' + ',\n'.join(lines) + '\n}\n')
    except FileExistsError:
        raise ValueError(f'{path} exists, and is not changed: name another file') from None
