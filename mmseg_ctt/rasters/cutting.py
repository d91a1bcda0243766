# Copyright (c) mmseg_ctt contributors.
"""Large rasters and their masks cut into images for training."""

import os
from contextlib import ExitStack, contextmanager
from glob import escape
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import numpy as np
from PIL import Image

from ..datasets.image_decoders import swapped
from ..datasets.windows import Windows
from .library import opened, rasterio_library
from .reading import IGNORED, has_mask, read_window

PLACE = '[0-9]' * 6  # row or column in the name of an image


class Cut(NamedTuple):
    """Numbers of images: written with and without a mask, left out for want of data, present."""

    labeled: int = 0
    unlabeled: int = 0
    empty: int = 0
    present: int = 0


class Tile(NamedTuple):
    """A window of a scene, and the files of its image and mask."""

    window: Any
    image: Path
    label: Path


class Scene:
    """An open raster and its mask.

    Args:
        source (rasterio.DatasetReader): The raster.
        labels (rasterio.DatasetReader, optional): The mask, on the same grid.
    """

    def __init__(self, source: Any, labels: Any) -> None:
        self.source, self.labels = source, labels
        self.windows = Windows(source)

    def ids(self, window: Any, missing: Optional[np.ndarray]) -> Optional[np.ndarray]:
        """Ids of a window, 255 where they or the image have no data; None where none is another."""
        if self.labels is None:
            return None
        values, unknown = read_window(self.labels, window)
        given, name = values[..., 0], self.labels.name
        ids = given.astype(np.int64)
        if (ids != given).any():
            raise ValueError(f'{name} holds numbers that are no class ids')
        if unknown is not None:
            ids[unknown[..., 0]] = IGNORED
        if ids.min() < 0 or ids.max() > IGNORED:
            raise ValueError(f'{name} holds ids from {ids.min()} to {ids.max()}: give 0 to 255')
        if missing is not None:
            ids[missing.all(2)] = IGNORED
        return None if (ids == IGNORED).all() else ids.astype(np.uint8)

    def samples(self, window: Any) -> np.ndarray:
        """Bands ``(C, h, w)`` of an image, which training reads as it would read the scene."""
        if self.windows.stored:
            return self.source.read(window=window)
        return swapped(self.windows.read(window)[0]).transpose(2, 0, 1)


class CuttingJob(NamedTuple):
    """What is cut, and where to.

    Attributes:
        scene (Path): Raster.
        mask (Path, optional): Raster of class ids on the same grid.
        name (str): Of the images; may have folders.
        out (Path): Folder of the data set.
        size (int): Side of the images in pixels.
    """

    scene: Path
    mask: Optional[Path]
    name: str
    out: Path
    size: int


def check_settings(job: CuttingJob) -> None:
    """Check sizes and grids of a raster, its mask and its images, without reading any pixels.

    Raises:
        ValueError: If the size is not positive, the raster is smaller than an image, the mask is on
            another grid or of several bands, or images of another size are there.
    """
    size = job.size
    if size < 1:
        raise ValueError(f'size (--size) must be positive, got {size}')
    with _opened(job) as given:
        source = given.source
        if min(source.height, source.width) < size:
            raise ValueError(
                f'{job.scene} has {source.height}x{source.width} pixels, less than an image of '
                f'{size}'
            )
        if given.labels is not None:
            _check_grid(source, given.labels)
    images = job.out / 'images' / job.name
    for path in sorted(images.parent.glob(f'{escape(images.name)}_r{PLACE}_c{PLACE}.tif')):
        with opened(path) as made:
            if made.shape != (size, size):
                raise ValueError(
                    f'{path} has {made.height}x{made.width} pixels, and --size is {size}: cut '
                    'into another folder, or delete the images and masks that are there'
                )


def cut_raster(job: CuttingJob, min_data: float = 0.5, keep_masks: bool = False) -> Cut:
    """Cut a raster into GeoTIFFs ``out/images/NAME_rROW_cCOLUMN.tif``, window by window.

    A mask becomes PNG masks ``out/masks`` of the same names, with 255 where it or the image has no
    data; none where that is everywhere. Images at the right and the lower edge overlap their
    neighbours, so that all have one size. Colour tables become colours. Files that exist stay.

    Args:
        job (CuttingJob): That :func:`check_settings` takes.
        min_data (float): Ratio of pixels with data that an image needs. Defaults to 0.5.
        keep_masks (bool): Whether masks that are there may differ. Defaults to False.

    Returns:
        Cut: Numbers of images.

    Raises:
        ValueError: If ``min_data`` is no ratio, the mask holds numbers that are no ids, or images
            or masks that are there differ from their scene; nothing is written then.
    """
    if not 0 <= min_data <= 1:
        raise ValueError(f'min_data (--min-data) must be a ratio in [0, 1], got {min_data}')
    count = dict.fromkeys(Cut._fields, 0)
    with _opened(job) as given:
        tiles = list(_tiles(given.source, job))
        for tile in tiles:
            given.ids(tile.window, None)
            _check_image(given, tile)
            if not keep_masks:
                _check_label(given, tile)
        for tile in tiles:
            count[_cut_tile(given, tile, min_data)] += 1
    return Cut(**count)


def _cut_tile(scene: Scene, tile: Tile, min_data: float) -> str:
    """Write what is missing of a tile; the field of :class:`Cut` that counts it."""
    there = tile.image.exists()
    if there and (scene.labels is None or tile.label.exists()):
        return 'present'
    missing = scene.windows.read(tile.window)[1]
    ids = scene.ids(tile.window, missing)
    if there and ids is None:
        return 'present'
    if not there and missing is not None and (~missing.all(2)).mean() < min_data:
        return 'empty'
    if ids is not None:
        _write_label(ids, tile.label)
    if not there:
        _write_image(scene, tile.window, missing, tile.image)
    return 'unlabeled' if ids is None else 'labeled'


@contextmanager
def _opened(job: CuttingJob) -> Iterator[Scene]:
    with ExitStack() as stack:
        source = stack.enter_context(opened(job.scene))
        yield Scene(source, None if job.mask is None else stack.enter_context(opened(job.mask)))


def _check_image(scene: Scene, tile: Tile) -> None:
    if not tile.image.exists():
        return
    expected = scene.samples(tile.window)
    with opened(tile.image) as made:
        found = made.read()
    if _same(found, expected):
        return
    if _same(found, scene.source.read(window=tile.window)):
        raise ValueError(
            f'{tile.image} was cut by an earlier version of this tool, with other colours than '
            f'{scene.source.name} is read with: cut the images anew into a new folder; the masks '
            'need not be'
        )
    raise ValueError(
        f'{tile.image} differs from {scene.source.name}, of which another version was cut: '
        'delete the images of this scene that are there, or cut into another folder'
    )


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    return np.array_equal(found, expected, equal_nan=expected.dtype.kind == 'f')


def _check_label(scene: Scene, tile: Tile) -> None:
    if scene.labels is None or not tile.label.exists():
        return
    ids = scene.ids(tile.window, scene.windows.read(tile.window)[1])
    with Image.open(tile.label) as image:
        found = np.array(image)
    if not np.array_equal(found, np.full(found.shape, IGNORED) if ids is None else ids):
        raise ValueError(
            f'{tile.label} differs from {scene.labels.name}, and one of them was corrected: delete '
            'the masks of this scene that are there, to cut them anew, or give --keep-masks'
        )


def _tiles(source: Any, job: CuttingJob) -> Iterator[Tile]:
    size, out = job.size, job.out
    for row in _positions(source.height, size):
        for column in _positions(source.width, size):
            stem = f'{job.name}_r{row:06d}_c{column:06d}'
            window = rasterio_library().windows.Window(column, row, size, size)
            yield Tile(window, out / 'images' / f'{stem}.tif', out / 'masks' / f'{stem}.png')


def _positions(length: int, size: int) -> List[int]:
    starts = list(range(0, length - size + 1, size))
    return starts if starts[-1] == length - size else [*starts, length - size]


def _check_grid(source: Any, labels: Any) -> None:
    same = source.shape == labels.shape and source.crs == labels.crs
    if not same or not source.transform.almost_equals(labels.transform, 1e-6):
        raise ValueError(
            f'{labels.name} is on another grid than its image ({labels.shape} and {source.shape} '
            f'pixels, {labels.crs} and {source.crs}): warp it, nearest neighbour, to the grid of '
            'the image'
        )
    if labels.count != 1:
        raise ValueError(
            f'{labels.name} has {labels.count} bands: a mask has one band of class ids'
        )


def _write_image(scene: Scene, window: Any, missing: Optional[np.ndarray], path: Path) -> None:
    source, samples = scene.source, scene.samples(window)
    stored = scene.windows.stored
    profile = _profile(source, window)
    if not stored:  # pixels without data are said by a mask: their value was one of the table
        profile.update(count=len(samples), dtype=samples.dtype.name, nodata=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    with opened(partial, 'w', **profile) as made:
        made.write(samples)
        if stored:
            made.colorinterp = source.colorinterp
        if stored and has_mask(source):
            made.write_mask(source.dataset_mask(window=window))
        elif not stored and missing is not None:
            made.write_mask(np.where(missing.all(2), 0, 255).astype(np.uint8))
    os.replace(partial, path)


def _profile(source: Any, window: Any) -> Dict[str, Any]:
    """Settings of an image of a window, with its place on the ground where the scene has one."""
    profile = {**source.profile, 'driver': 'GTiff', 'tiled': False, 'compress': 'deflate'}
    for key in ('blockxsize', 'blockysize', 'photometric', 'interleave', 'transform'):
        profile.pop(key, None)
    profile.update(width=window.width, height=window.height)
    points, system = source.gcps
    if points:
        profile.update(gcps=[_moved(point, window) for point in points], crs=system)
    elif source.crs is not None or not source.transform.is_identity:
        profile.update(transform=source.window_transform(window))
    return profile


def _moved(point: Any, window: Any) -> Any:
    """A ground control point, in pixels of a window."""
    place = dict(row=point.row - window.row_off, col=point.col - window.col_off)
    position = dict(x=point.x, y=point.y, z=point.z)
    return rasterio_library().control.GroundControlPoint(**place, **position)


def _write_label(ids: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    Image.fromarray(ids).save(partial)
    os.replace(partial, path)
