# Copyright (c) mmseg_ctt contributors.
"""What is to be predicted: images, rasters and videos, found and named."""

import logging
import os
from pathlib import Path
from typing import List, NamedTuple, Optional, Union

from mmengine.logging import print_log
from PIL import Image

from ...datasets.image_files import IMAGE_SUFFIXES, find_files, other_files
from ...datasets.image_reading import EXIF_ORIENTATION
from ...datasets.tiff_header import TiffHeader, file_header

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv')
TIFF_SUFFIXES = ('.tif', '.tiff')
IMAGE, RASTER, VIDEO = 'image', 'raster', 'video'
# of each kind the folder and the end of the file that appears last
LAST = {IMAGE: ('labels', '.png'), RASTER: ('labels', '.tif'), VIDEO: ('overlays', '.mp4')}


class Item(NamedTuple):
    """An input and the names of its outputs.

    Attributes:
        stem (str): Path below the input folder without suffix.
        path (str): Of the file.
        kind (str): ``'image'``, ``'raster'`` or ``'video'``.
    """

    stem: str
    path: str
    kind: str

    @property
    def name(self) -> str:
        """Path of the output that appears last, below the folder of outputs, without suffix."""
        return f'{LAST[self.kind][0]}/{self.stem}'

    @property
    def suffix(self) -> str:
        """End of that output."""
        return LAST[self.kind][1]


def check_beside(folder: Path, given: Path) -> None:
    """Outputs of a file are not put into its folder, where they would be inputs of the next call.

    Args:
        folder (Path): Of outputs.
        given (Path): File, or anything else.

    Raises:
        ValueError: If it is the folder of the file.
    """
    if given.is_file() and given.resolve().parent == folder.resolve():
        raise ValueError(
            f'the outputs would be in {folder}, the folder of the input {given}, where a '
            'prediction of the whole folder would find them: give another folder'
        )


def find_items(given: Union[str, Path], tiled: bool = False) -> List[Item]:
    """Inputs of a file or of a folder with its sub-folders; links may lead to no file.

    Args:
        given (str | Path): Image, GeoTIFF, video, or folder of such.
        tiled (bool): Whether all images are predicted by tiles. Defaults to False: those that are
            GeoTIFFs.

    Raises:
        FileNotFoundError: If it does not exist, or a folder has nothing to predict.
        ValueError: If two files have one stem, a folder has that of a video, or the file is of none
            of these types.
    """
    path = Path(given)
    if path.is_dir():
        _warn_of_others(path)
        found = find_files(path, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
        if not found:
            raise FileNotFoundError(
                f'no image or video was found in {path}; images end in '
                f'{", ".join(IMAGE_SUFFIXES)}, videos in {", ".join(VIDEO_SUFFIXES)}'
            )
        items = [_item(stem, path / name, tiled) for stem, name in found.items()]
        _check_frames(items)
        return items
    if not path.is_file():
        raise FileNotFoundError(f'the input {path} does not exist')
    if path.suffix.lower() not in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES):
        raise ValueError(
            f'{path} is no image or video that is read: images end in '
            f'{", ".join(IMAGE_SUFFIXES)}, videos in {", ".join(VIDEO_SUFFIXES)}; volumes are for '
            'tools/volumes/predict_volume.py'
        )
    return [_item(path.stem, path, tiled)]


def _check_frames(items: List[Item]) -> None:
    """No input lies in a folder called like a video: masks of frames have such names."""
    videos = {item.stem: item.path for item in items if item.kind == VIDEO}
    for item in items:
        folders = (parent.as_posix() for parent in Path(item.stem).parents)
        video = next((videos[folder] for folder in folders if folder in videos), None)
        if video is not None:
            raise ValueError(
                f'{item.path} lies in a folder with the name of the video {video}, so that their '
                'outputs would have one name: rename the folder, or predict the two into '
                'different folders'
            )


def _item(stem: str, path: Path, tiled: bool) -> Item:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return Item(stem, str(path), VIDEO)
    if tiled or is_geotiff(path):
        return Item(stem, str(path), RASTER)
    return Item(stem, str(path), IMAGE)


def check_upright(path: Path) -> None:
    """Windows of a file are as stored.

    Args:
        path (Path): Image file that is read in tiles.

    Raises:
        ValueError: If it has an orientation tag.
    """
    header = tiff_header(path)
    orientation = 1 if header is None else header.orientation
    if path.suffix.lower() not in TIFF_SUFFIXES:
        try:
            with Image.open(path) as opened:
                orientation = opened.getexif().get(EXIF_ORIENTATION, 1)
        except Exception:  # too large for Pillow, or its errors for broken tags
            orientation = 1
    if orientation != 1:
        raise ValueError(
            f'{path} has the orientation tag {orientation}, which tiles do not know: remove the tag'
            f'{"" if header is not None and header.geo else ", or predict it without --tile"}'
        )


def is_geotiff(path: Path) -> bool:
    """Whether a file is a GeoTIFF.

    Args:
        path (Path): Image file.
    """
    header = tiff_header(path)
    return header is not None and header.geo


def tiff_header(path: Path) -> Optional[TiffHeader]:
    """Header of a TIFF file by its name, without reading its pixels; None for another file.

    Args:
        path (Path): Image file.
    """
    try:
        return file_header(path) if path.suffix.lower() in TIFF_SUFFIXES else None
    except OSError:  # said when it is its turn to be read
        return None


def _warn_of_others(folder: Path) -> None:
    names = [name for _, _, files in os.walk(folder) for name in files]
    others = {
        end: number for end, number in other_files(names).items() if end not in VIDEO_SUFFIXES
    }
    if others:
        counts = ', '.join(f'{number} {end}' for end, number in others.items())
        print_log(
            f'{sum(others.values())} files in {folder} are left out ({counts}): convert them',
            'current',
            logging.WARNING,
        )
