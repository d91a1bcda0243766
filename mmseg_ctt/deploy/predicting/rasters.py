# Copyright (c) mmseg_ctt contributors.
"""Prediction of a raster by overlapping tiles, read and written window by window."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ...datasets.image_values import picture_of, scaled
from ...datasets.windows import Windows
from ...engine.files import write_whole
from ...rasters import MapFile, finish_map, opened, rasterio_library
from ...visualization import colorize
from .items import Item, check_upright
from .network import Given, Network
from .outputs import Outputs, partial, progress_of
from .tiles import MEMORY, Grid, Rows, Tile, blended_rows

LABELS, OVERLAY, PROBABILITIES = 'labels', 'overlay', 'probabilities'


class TileSettings(NamedTuple):
    """How rasters are cut.

    Attributes:
        size (tuple[int, int]): Height and width of a tile.
        overlap (int): Pixels that neighbours have in common.
        pads (bool): Whether a raster that is smaller than a tile is padded to it, by reflection.
        batch_size (int): Tiles in one pass.
        memory (int): Bytes of the summed logits.
    """

    size: Tuple[int, int]
    overlap: int
    pads: bool = False
    batch_size: int = 1
    memory: int = MEMORY


class RasterTiles:
    """Logits of the tiles of an open raster.

    Args:
        network (Network): Of the model.
        dataset (rasterio.DatasetReader): The raster.
        settings (TileSettings): Of the tiles.
        name (str): What messages call the raster.

    Raises:
        ValueError: If it has an orientation tag, or is not of 8 bit and the config has no range.
    """

    def __init__(self, network: Network, dataset: Any, settings: TileSettings, name: str) -> None:
        self.network, self.dataset, self.name = network, dataset, name
        check_upright(Path(dataset.name))
        self.window = rasterio_library().windows.Window
        self.windows = Windows(dataset, network.loader.nodata)
        size = (dataset.height, dataset.width)
        tile = (min(settings.size[0], size[0]), min(settings.size[1], size[1]))
        self.padded = settings.size if settings.pads else tile
        overlap = min(settings.overlap, tile[0] // 2, tile[1] // 2)
        self.grid = Grid(size, tile, overlap, network.channels)
        if network.loader.value_range is None and dataset.dtypes[0] != 'uint8':
            scaled(self.windows.values(), None, name)  # an error; it suggests a range for all tiles

    def read(self, row: int, column: int, size: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
        """Pixels of a window, and ``(h, w, C)`` bool where they have no data."""
        pixels, missing = self.windows.read(self.window(column, row, size[1], size[0]))
        empty = np.zeros(pixels.shape, bool) if missing is None else missing
        return pixels, empty

    def predict(self, tiles: Sequence[Tile]) -> List[Tuple[Optional[np.ndarray], np.ndarray]]:
        """Logits ``(K, h, w)`` and pixels without data ``(h, w)`` of tiles."""
        found = [self.read(*tile, self.grid.tile) for tile in tiles]
        kept = [i for i, (_, missing) in enumerate(found) if not missing.all()]
        given = [self._given(*found[i]) for i in kept]
        height, width = self.grid.tile
        logits: Dict[int, np.ndarray] = {}
        if given:
            logits = {
                i: map_[:, :height, :width] for i, map_ in zip(kept, self.network.logits(given))
            }
        return [
            (logits.get(i), np.asarray(missing.all(axis=2))) for i, (_, missing) in enumerate(found)
        ]

    def first(self) -> Given:
        """Pixels of the first tile, even if it has no data."""
        return self._given(*self.read(0, 0, self.grid.tile))

    def _given(self, pixels: np.ndarray, missing: np.ndarray) -> Given:
        """Pixels of a tile for the network, padded where the raster is smaller than a tile."""
        rows, columns = (whole - part for whole, part in zip(self.padded, self.grid.tile))
        if rows or columns:
            border = ((0, rows), (0, columns), (0, 0))
            pixels, missing = (np.pad(map_, border, 'symmetric') for map_ in (pixels, missing))
        return Given(pixels, self.name, missing)


def try_raster(network: Network, item: Item, settings: TileSettings) -> None:
    """Predict the first tile of a raster, and write nothing.

    Args:
        network (Network): Of the model.
        item (Item): The raster.
        settings (TileSettings): Of the tiles.

    Raises:
        ValueError: If it cannot be read, or has bands or values that the model does not take.
    """
    with opened(item.path) as dataset:
        network.logits([RasterTiles(network, dataset, settings, item.path).first()])


def predict_raster(
    network: Network,
    item: Item,
    outputs: Outputs,
    settings: TileSettings,
    tick: Callable[[float], None] = lambda _: None,
) -> None:
    """Write the map of a raster, with its georeference; goes on where a stopped call was.

    Args:
        network (Network): Of the model.
        item (Item): The raster.
        outputs (Outputs): Started.
        settings (TileSettings): Of the tiles.
        tick (Callable): Called with the ratio that is done.
    """
    final = outputs.labels_of(item)
    files = _map_files(network, item, outputs)
    progress = progress_of(final)
    with opened(item.path) as dataset:
        tiles = RasterTiles(network, dataset, settings, item.path)
        if not progress.is_file():
            network.prepared(tiles.first())  # a raster that is refused leaves no files
        stripe, row = _position(progress, files)
        stripes = tiles.grid.stripes(settings.memory)
        for number in range(stripe, len(stripes)):
            first = row if number == stripe else 0
            for rows in blended_rows(
                tiles.grid, stripes[number], tiles.predict, settings.batch_size, first
            ):
                _write(network, tiles, rows, files)
                following = (number, rows.next_row)
                if rows.next_row == len(tiles.grid.rows):
                    following = (number + 1, 0)
                write_whole(progress, json.dumps(following) + '\n')
                tick((number + rows.next_row / len(tiles.grid.rows)) / len(stripes))
            row = 0
    finals = {
        LABELS: final,
        OVERLAY: outputs.overlay_of(item),
        PROBABILITIES: outputs.probability_of(item),
    }
    for kind in (OVERLAY, PROBABILITIES, LABELS):  # a raster with labels is finished
        if kind in files and files[kind].path.exists():
            finish_map(files[kind].path, finals[kind])
    progress.unlink()


def _position(progress: Path, files: Dict[str, MapFile]) -> Tuple[int, int]:
    """Stripe and row of tiles to go on with; files are made for a new start."""
    if progress.is_file():
        stripe, row = json.loads(progress.read_text())
        return stripe, row
    for made in files.values():
        made.create()
    write_whole(progress, json.dumps((0, 0)) + '\n')
    return 0, 0


def _map_files(network: Network, item: Item, outputs: Outputs) -> Dict[str, MapFile]:
    """Unfinished files of a raster, by what they hold."""
    files = {
        LABELS: MapFile(
            partial(outputs.labels_of(item)),
            item.path,
            network.dtype,
            nodata=network.no_data,
            palette=network.palette if network.dtype == 'uint8' else None,
        )
    }
    if outputs.overlays:
        files[OVERLAY] = MapFile(partial(outputs.overlay_of(item)), item.path, 'uint8', 3)
    if outputs.probability_maps:
        files[PROBABILITIES] = MapFile(
            partial(outputs.probability_of(item)),
            item.path,
            'float32',
            max(network.channels, 2),
            nodata=float('nan'),
            names=network.classes,
        )
    return files


def _write(network: Network, tiles: RasterTiles, rows: Rows, files: Dict[str, MapFile]) -> None:
    labels = network.labels(rows.logits)
    place = (rows.row, rows.column)
    if OVERLAY in files:
        pixels, _ = tiles.read(*place, labels.shape)
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        picture = picture_of(pixels, network.loader.value_range, tiles.name).astype(np.float32)
        mixed = (picture + colorize(labels, network.palette)) / 2
        mixed[rows.empty] = 0
        files[OVERLAY].write(mixed.round().astype(np.uint8).transpose(2, 0, 1), *place)
    if PROBABILITIES in files:
        probability = network.probabilities(rows.logits)
        probability[:, rows.empty] = np.nan
        files[PROBABILITIES].write(probability, *place)
    ids = np.where(rows.empty, network.no_data, labels).astype(network.dtype)
    files[LABELS].write(ids[None], *place)
