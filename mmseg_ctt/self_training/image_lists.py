# Copyright (c) mmseg_ctt contributors.
"""Lists of images, or of what else was read, beside what was made of them.

A run goes on with the same ones alone.
"""

import os.path as osp
from pathlib import Path
from typing import List, Sequence

from ..engine.files import write_whole

IMAGES = 'other images than the data set'


def check_list(path: Path, names: Sequence[str], advice: str, other: str = IMAGES) -> None:
    """A list that a run wrote has the images that the data set has now.

    Args:
        path (Path): Of the list; one that does not exist is not checked.
        names (Sequence[str]): Names of the images, in order, or other lines.
        advice (str): What has changed and what to do, for the error.
        other (str): What a list that differs has, for the error. Defaults to other images.

    Raises:
        ValueError: If it has others, or another order.
    """
    if path.is_file() and path.read_text(encoding='utf-8') != _text(names):
        raise ValueError(f'{path} has {other} now: {advice}')


def keep_list(path: Path, names: Sequence[str], advice: str, other: str = IMAGES) -> None:
    """Write a list, or check the one that is there.

    Args:
        path (Path): Of the list.
        names (Sequence[str]): Names of the images, in order, or other lines.
        advice (str): What has changed and what to do, for the error.
        other (str): What a list that differs has, for the error. Defaults to other images.

    Raises:
        ValueError: See :func:`check_list`.
    """
    check_list(path, names, advice, other)
    if not path.is_file():
        write_whole(path, _text(names))


def below_common_folder(images: Sequence[str]) -> List[str]:
    """Paths of images below the folder that all are in: equal after the data have been moved.

    Args:
        images (Sequence[str]): Absolute paths.
    """
    common = osp.commonpath([osp.dirname(image) for image in images]) if images else ''
    return [osp.relpath(image, common) for image in images]


def _text(names: Sequence[str]) -> str:
    return ''.join(f'{name}\n' for name in names)
