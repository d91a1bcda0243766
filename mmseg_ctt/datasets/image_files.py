# Copyright (c) mmseg_ctt contributors.
"""Files of a data set by their stems."""

from pathlib import Path
from typing import Dict, Sequence, Union

from mmengine.fileio import list_dir_or_file

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff')


def find_files(
    folder: Union[str, Path], suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> Dict[str, str]:
    """Files below a folder by stem, without hidden files.

    Args:
        folder (str | Path): Searched with all its sub-folders.
        suffixes (Sequence[str]): Ends of file names, in upper or lower case; an end may be
            longer than an extension, such as ``'_leftImg8bit.png'``.

    Returns:
        dict[str, str]: Stem (path below the folder without the suffix) to
        path below the folder, sorted by stem.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If two files have one stem.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    found: Dict[str, str] = {}
    # Longest first, so that '_leftImg8bit.png' wins over '.png'.
    endings = sorted((s.lower() for s in suffixes), key=len, reverse=True)
    for name in sorted(list_dir_or_file(folder, list_dir=False, recursive=True)):
        name = name.replace('\\', '/')
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
