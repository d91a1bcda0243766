# Copyright (c) mmseg_ctt contributors.
"""Large rasters and their masks cut into images for training."""

import os
from glob import escape
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image

from .library import opened, rasterio_library
from .reading import IGNORED, has_mask, read_window

PLACE = '[0-9]' * 6  # row or column in the name of an image


class Cut(NamedTuple):
    """Numbers of images that were written, left out for want of data, and there before."""

    written: int = 0
    empty: int = 0
    present: int = 0


def cut_raster(
    scene: Path,
    mask: Optional[Path],
    name: str,
    out: Path,
    size: int,
    min_data: float = 0.5,
    each: Callable[[], None] = lambda: None,
) -> Cut:
    """Cut a raster into GeoTIFFs ``out/images/NAME_rROW_cCOLUMN.tif``, window by window.

    A mask becomes PNG masks ``out/masks`` of the same names, with 255 where it or the image has no
    data. Images at the right and the lower edge overlap their neighbours, so that all have one
    size. Files that exist stay.

    Args:
        scene (Path): Raster.
        mask (Path, optional): Raster of class ids on the same grid.
        name (str): Of the images; may have folders.
        out (Path): Folder of the data set.
        size (int): Side of the images in pixels.
        min_data (float): Ratio of pixels with data that an image needs. Defaults to 0.5.
        each (Callable): Called before each image; may raise to stop.

    Returns:
        Cut: Numbers of images.

    Raises:
        ValueError: See :func:`check_cut`; if the mask has numbers that are no ids.
    """
    check_cut(scene, mask, name, out, size)
    count = Cut()
    with opened(scene) as source:
        for row, column in _starts(source, size):
            each()
            stem = f'{name}_r{row:06d}_c{column:06d}'
            image = out / 'images' / f'{stem}.tif'
            label = None if mask is None else out / 'masks' / f'{stem}.png'
            if image.exists() and (label is None or label.exists()):
                count = count._replace(present=count.present + 1)
                continue
            window = rasterio_library().windows.Window(column, row, size, size)
            pixels, missing = read_window(source, window)
            if missing is not None and (~missing.all(2)).mean() < min_data:
                count = count._replace(empty=count.empty + 1)
                continue
            if label is not None and mask is not None:
                _write_mask(mask, window, label, None if missing is None else np.all(missing, 2))
            _write_image(source, window, image)
            count = count._replace(written=count.written + 1)
    return count


def check_cut(scene: Path, mask: Optional[Path], name: str, out: Path, size: int) -> None:
    """Check a raster, its mask, and the images of it that are there already; writes nothing.

    Args: as :func:`cut_raster`.

    Raises:
        ValueError: If the raster is smaller than an image, the mask is on another grid or of
            several bands, or images of another size are there.
    """
    with opened(scene) as source:
        if min(source.height, source.width) < size:
            raise ValueError(
                f'{scene} has {source.height}x{source.width} pixels, less than an image of {size}'
            )
        if mask is not None:
            with opened(mask) as labels:
                _check_grid(source, labels, mask)
    images = out / 'images' / name
    for path in sorted(images.parent.glob(f'{escape(images.name)}_r{PLACE}_c{PLACE}.tif')):
        with opened(path) as made:
            if made.shape != (size, size):
                raise ValueError(
                    f'{path} has {made.height}x{made.width} pixels, and --size is {size}: cut into '
                    'another folder, or delete the images and masks that are there'
                )


def _starts(source: Any, size: int) -> Iterator[Tuple[int, int]]:
    for row in _positions(source.height, size):
        for column in _positions(source.width, size):
            yield row, column


def _positions(length: int, size: int) -> List[int]:
    starts = list(range(0, length - size + 1, size))
    return starts if starts[-1] == length - size else [*starts, length - size]


def _check_grid(source: Any, labels: Any, mask: Path) -> None:
    same = source.shape == labels.shape and source.crs == labels.crs
    if not same or not source.transform.almost_equals(labels.transform, 1e-6):
        raise ValueError(
            f'{mask} is on another grid than its image ({labels.shape} and {source.shape} pixels, '
            f'{labels.crs} and {source.crs}): warp it, nearest neighbour, to the grid of the image'
        )
    if labels.count != 1:
        raise ValueError(f'{mask} has {labels.count} bands: a mask has one band of class ids')


def _write_image(source: Any, window: Any, path: Path) -> None:
    profile = {**source.profile, 'driver': 'GTiff', 'tiled': False, 'compress': 'deflate'}
    for key in ('blockxsize', 'blockysize', 'photometric', 'interleave'):
        profile.pop(key, None)
    profile.update(
        width=window.width, height=window.height, transform=source.window_transform(window)
    )
    points, system = source.gcps
    if points:
        del profile['transform']
        profile.update(gcps=[_moved(point, window) for point in points], crs=system)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    with opened(partial, 'w', **profile) as made:
        made.write(source.read(window=window))
        made.colorinterp = source.colorinterp
        if has_mask(source):
            made.write_mask(source.dataset_mask(window=window))
    os.replace(partial, path)


def _moved(point: Any, window: Any) -> Any:
    """A ground control point, in pixels of a window."""
    place = dict(row=point.row - window.row_off, col=point.col - window.col_off)
    position = dict(x=point.x, y=point.y, z=point.z)
    return rasterio_library().control.GroundControlPoint(**place, **position)


def _write_mask(mask: Path, window: Any, path: Path, empty: Optional[np.ndarray]) -> None:
    """Ids of a window; those of pixels that have no data, or whose image has none, become 255."""
    with opened(mask) as labels:
        values, missing = read_window(labels, window)
    given = values[..., 0]
    ids = given.astype(np.int64)
    if (ids != given).any():
        raise ValueError(f'{mask} holds numbers that are no class ids')
    if missing is not None:
        ids[missing[..., 0]] = IGNORED
    if ids.min() < 0 or ids.max() > IGNORED:
        raise ValueError(f'{mask} holds ids from {ids.min()} to {ids.max()}: give 0 to 255')
    if empty is not None:
        ids[empty] = IGNORED
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    Image.fromarray(ids.astype(np.uint8)).save(partial)
    os.replace(partial, path)
