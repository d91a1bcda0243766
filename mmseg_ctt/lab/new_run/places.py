# Copyright (c) mmseg_ctt contributors.
"""Whether files and folders can be written, before the first is."""

from pathlib import Path
from typing import Sequence

from .class_names import META
from .conversion import Conversion
from .lists import Lists


def check_places(
    root: Path, configs: Path, lists: Lists, conversions: Sequence[Conversion]
) -> None:
    """Folders to write to are none of a file's name, and the other way round.

    Args:
        root (Path): Root of the data set.
        configs (Path): Folder of the configs.
        lists (Lists): Lists of the run.
        conversions (Sequence[Conversion]): Masks to write.

    Raises:
        ValueError: Names the first that is in the way.
    """
    folders = [configs, root / lists.folder]
    folders += [(root / target).parent for made in conversions for target in made.missing]
    for folder in dict.fromkeys(folders):
        for path in (folder, *folder.parents):
            if path == root:
                break
            if path.exists() and not path.is_dir():
                raise ValueError(
                    f'{path} is a file, and new_run writes a folder of this name: move or rename it'
                )
    for path in [root / META, *configs.glob('*.py')]:
        if path.is_dir():
            raise ValueError(f'{path} is a folder, and a file is due there: move or rename it')
