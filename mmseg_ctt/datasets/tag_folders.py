# Copyright (c) mmseg_ctt contributors.
"""Tags of images that lie in folders of their classes, and of images that have masks."""

import filecmp
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .label_check import class_pixels, read_checked
from .lists import PathLike
from .tag_files import ClassNames, Tags


def tags_of_folders(
    images: Mapping[str, str],
    stems: Sequence[str],
    folder: PathLike,
    names: ClassNames,
    copies: bool = False,
) -> Tags:
    """Tags of images that lie in a folder of their class.

    Files of one name and one content in several folders are one image with the tags of all of
    them, which stands for the first in ``stems``. Files of one name and another content are
    different images. The folder of the background holds images without any class.

    Args:
        images (Mapping[str, str]): Files by stem, as from ``find_images``.
        stems (Sequence[str]): The images that are used.
        folder (str | Path): Folder of the files.
        names (ClassNames): Names that folders may have.
        copies (bool): Whether each copy has an entry, with the tags of all. Defaults to False.

    Returns:
        dict: Tags by stem, without the stems of copies unless they are wanted.

    Raises:
        ValueError: If a folder is no class, or an image is in none.
    """
    of_class = {stem: _folder_tag(file, folder, names) for stem, file in images.items()}
    same_name: Dict[str, List[str]] = {}
    for stem, file in images.items():
        same_name.setdefault(PurePosixPath(file).name, []).append(stem)
    tags: Tags = {}
    known: Set[str] = set()
    for stem in stems:
        if stem not in known:
            others = same_name[PurePosixPath(images[stem]).name]
            same = [k for k in others if k == stem or _equal(folder, images[k], images[stem])]
            known.update(same)
            found = dict.fromkeys(of_class[k] for k in same)
            joint = tuple(name for name in found if name != names.background)
            tags.update(dict.fromkeys(same if copies else [stem], joint))
    return tags


def _folder_tag(file: str, folder: PathLike, names: ClassNames) -> str:
    name = PurePosixPath(file).parts[0]
    if name == file:
        raise ValueError(f'{Path(folder, file)} is in no folder of a class: move it into one')
    if name != names.background:
        names.check(name, f'the folder {Path(folder, name)}')
    return name


def _equal(folder: PathLike, first: str, second: str) -> bool:
    return filecmp.cmp(Path(folder, first), Path(folder, second), shallow=False)


def tags_of_masks(
    infos: Sequence[dict],
    classes: Sequence[str],
    background: Optional[str] = None,
    min_pixels: int = 1,
    ignore_index: int = 255,
    num_workers: int = 4,
) -> List[Tuple[int, ...]]:
    """Classes that masks show.

    Args:
        infos (Sequence[dict]): ``seg_map_path``, ``label_map`` and ``reduce_zero_label`` of each.
        classes (Sequence[str]): Of the data set, in order.
        background (str, optional): Name of class 0, where that is no tag. Defaults to None.
        min_pixels (int): Pixels from which a class is a tag. Defaults to 1.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        num_workers (int): Files that are read at the same time. Defaults to 4.

    Returns:
        list[tuple[int]]: Ids of each mask, ascending.

    Raises:
        FileNotFoundError: If a mask is missing.
        ValueError: Names the first mask that is wrong, and what is wrong with it.
    """

    def shown(info: dict) -> Tuple[int, ...]:
        mask = read_checked(
            info['seg_map_path'],
            None,
            len(classes),
            ignore_index,
            bool(info.get('reduce_zero_label')),
            info.get('label_map'),
        )
        pixels = class_pixels(mask, len(classes), ignore_index)[: len(classes)]
        tags = (pixels >= min_pixels).nonzero()[0].tolist()
        return tuple(k for k in tags if classes[k] != background)

    with ThreadPoolExecutor(num_workers) as pool:
        return list(pool.map(shown, infos))
