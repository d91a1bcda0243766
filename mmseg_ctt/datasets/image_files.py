# Copyright (c) mmseg_ctt contributors.
"""Files of a data set by their stems."""

import logging
import os
from collections import Counter
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple, Union

from mmengine.logging import print_log

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
# Images, videos and volumes that are not read: counted in a warning where they lie among images.
OTHER_SUFFIXES = (
    *('.gif', '.heic', '.heif', '.avif', '.jp2', '.j2k', '.jxl', '.jfif', '.tga', '.psd', '.svg'),
    *('.ppm', '.pgm', '.pbm', '.pnm', '.exr', '.hdr', '.pdf'),
    *('.dng', '.cr2', '.cr3', '.nef', '.arw', '.raw', '.dcm', '.nii', '.nii.gz', '.npy', '.npz'),
    *('.h5', '.mp4', '.mov', '.avi', '.mkv'),
)
MASK_SUFFIX = '.png'


def find_files(
    folder: Union[str, Path], suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> Dict[str, str]:
    """Files below a folder by stem, without hidden files and folders.

    Args:
        folder (str | Path): Searched with all its sub-folders. Links are followed, except those to
            a folder above them, which are left out with a warning.
        suffixes (Sequence[str]): Ends of file names, in upper or lower case; an end may be
            longer than an extension, such as ``'_leftImg8bit.png'``.

    Returns:
        dict[str, str]: Stem (path below the folder without the suffix) to
        path below the folder, sorted by stem.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If two files have one stem.
    """
    return _by_stem(folder, file_names(folder), suffixes)


def find_images(folder: Union[str, Path], mask_suffix: str = MASK_SUFFIX) -> Dict[str, str]:
    """Images below a folder by stem; files that are no images are counted in a warning.

    Args:
        folder (str | Path): As for :func:`find_files`.
        mask_suffix (str): End of the names of masks. Where it is more than an extension, such as
            ``'_GT.png'``, files that end so are masks. Defaults to ``'.png'``.

    Returns:
        dict[str, str]: As from :func:`find_files`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If two images have one stem.
    """
    names = file_names(folder)
    others = other_files(names)
    if others:
        counts = ', '.join(f'{number} {ending}' for ending, number in others.items())
        _warn(
            f'{sum(others.values())} files in {folder} are left out ({counts}): images end in '
            f'{", ".join(IMAGE_SUFFIXES)}'
        )
    if mask_suffix.lower() not in IMAGE_SUFFIXES:
        names = [name for name in names if not name.lower().endswith(mask_suffix.lower())]
    return _by_stem(folder, names, IMAGE_SUFFIXES)


def find_masks(folder: Union[str, Path], suffix: str = MASK_SUFFIX) -> Dict[str, str]:
    """Masks below a folder by the stem of their image.

    Args:
        folder (str | Path): As for :func:`find_files`.
        suffix (str): End of their names, in upper or lower case. Defaults to ``'.png'``.

    Returns:
        dict[str, str]: As from :func:`find_files`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If two masks have one stem.
    """
    return find_files(folder, [suffix])


def other_files(names: Iterable[str]) -> Dict[str, int]:
    """Number of files that are no images, by ending of :data:`OTHER_SUFFIXES`, most frequent first.

    Args:
        names (Iterable[str]): Names of files.
    """
    endings = (
        next((end for end in OTHER_SUFFIXES if name.lower().endswith(end)), '') for name in names
    )
    return dict(Counter(filter(None, endings)).most_common())


def _by_stem(
    folder: Union[str, Path], names: Iterable[str], suffixes: Sequence[str]
) -> Dict[str, str]:
    found: Dict[str, str] = {}
    # Longest first, so that '_leftImg8bit.png' wins over '.png'.
    endings = sorted((s.lower() for s in suffixes), key=len, reverse=True)
    for name in names:
        ending = next((e for e in endings if name.lower().endswith(e)), None)
        if ending is None:
            continue
        stem = name[: -len(ending)]
        if stem in found:
            raise ValueError(
                f'two files in {folder} have the stem {stem}: {found[stem]} and {name}'
            )
        found[stem] = name
    return dict(sorted(found.items()))


def file_names(folder: Union[str, Path]) -> List[str]:
    """Paths of all files below a folder, sorted, without hidden ones."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    return sorted(_names_below(str(folder), '', ()))


def _names_below(root: str, below: str, above: Tuple[str, ...]) -> Iterator[str]:
    """Files in one folder and its sub-folders.

    Args:
        root (str): Folder that the paths start from.
        below (str): Path of the folder that is searched, below ``root``.
        above (tuple[str]): Real paths of the folders that lead to it.
    """
    real = os.path.realpath(os.path.join(root, below))
    if any(f'{path}/'.startswith(f'{real}/') for path in above):
        _warn(f'{os.path.join(root, below)} is a link to a folder above it: left out')
        return
    with os.scandir(os.path.join(root, below)) as entries:
        kept = [entry for entry in entries if not entry.name.startswith('.')]
    for entry in kept:
        path = f'{below}/{entry.name}' if below else entry.name
        is_link = entry.is_symlink()  # a link to itself makes is_dir() fail
        if os.path.isdir(entry.path) if is_link else entry.is_dir():
            yield from _names_below(root, path, (*above, real))
        else:
            yield path


def _warn(message: str) -> None:
    print_log(message, 'current', logging.WARNING)  # mmengine's logger drops repetitions
