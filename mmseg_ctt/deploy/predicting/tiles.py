# Copyright (c) mmseg_ctt contributors.
"""Tiles of a raster, and the sum of their logits in bounded memory."""

from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

MEMORY = 256 * 2**20  # bytes of summed logits


class Tile(NamedTuple):
    """Position of a tile: first row and first column."""

    row: int
    column: int


class Rows(NamedTuple):
    """Blended logits of some rows of a stripe, which no later tile changes.

    Attributes:
        row (int): First row.
        column (int): First column, that of the stripe.
        logits (np.ndarray): ``(K, h, w)`` float32.
        empty (np.ndarray): ``(h, w)`` bool, pixels without data.
        next_row (int): Number of the row of tiles that comes next.
    """

    row: int
    column: int
    logits: np.ndarray
    empty: np.ndarray
    next_row: int


# logits (K, h, w) and pixels without data (h, w) of each tile; no logits where all have none
Predict = Callable[[Sequence[Tile]], Sequence[Tuple[Optional[np.ndarray], np.ndarray]]]


def tile_starts(length: int, tile: int, overlap: int) -> List[int]:
    """First pixels of tiles along an axis; the last tile ends with the axis.

    Args:
        length (int): Of the axis, at least ``tile``.
        tile (int): Side of a tile.
        overlap (int): Pixels that two tiles have in common, at most half a tile.
    """
    starts = list(range(0, length - tile + 1, tile - overlap))
    return starts if starts[-1] == length - tile else [*starts, length - tile]


def tile_weight(size: Sequence[int], overlap: int) -> np.ndarray:
    """Weight ``(h, w)`` float32 of a tile's logits: 1 inside, falling to the edge over the overlap.

    Args:
        size (Sequence[int]): Height and width of a tile.
        overlap (int): Pixels of the fall.
    """
    sides = []
    for length in size:
        edge = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        sides.append(np.minimum(edge / max(overlap, 1), 1).astype(np.float32))
    return sides[0][:, None] * sides[1][None]


class Grid(NamedTuple):
    """Tiles of a raster, the same whatever the memory.

    Attributes:
        size (tuple[int, int]): Height and width of the raster.
        tile (tuple[int, int]): Height and width of a tile, not larger than the raster.
        overlap (int): Pixels that neighbours have in common.
        classes (int): Number of logits ``K`` of a pixel.
    """

    size: Tuple[int, int]
    tile: Tuple[int, int]
    overlap: int
    classes: int

    @property
    def rows(self) -> List[int]:
        """First pixel rows of the rows of tiles."""
        return tile_starts(self.size[0], self.tile[0], self.overlap)

    @property
    def columns(self) -> List[int]:
        """First pixel columns of the columns of tiles."""
        return tile_starts(self.size[1], self.tile[1], self.overlap)

    def stripes(self, memory: int = MEMORY) -> List[Tuple[int, int]]:
        """First and last column of the stripes that are summed one after the other.

        Args:
            memory (int): Bytes of the summed logits of a row of tiles. Defaults to 256 MiB.
        """
        width = max(2 * self.tile[1], memory // (4 * self.classes * self.tile[0]))
        return [
            (start, min(start + width, self.size[1])) for start in range(0, self.size[1], width)
        ]


def blended_rows(
    grid: Grid, stripe: Tuple[int, int], predict: Predict, batch_size: int = 1, first: int = 0
) -> Iterator[Rows]:
    """Blended logits of a stripe, from top to bottom.

    The sums hold one row of tiles, whatever the height of the raster.

    Args:
        grid (Grid): Of the raster.
        stripe (tuple[int, int]): First and last column.
        predict (Callable): Logits of tiles.
        batch_size (int): Tiles at a time. Defaults to 1.
        first (int): Row of tiles whose pixels are the first that are needed. Defaults to 0.

    Yields:
        Rows: Of each row of tiles the pixel rows above the next one.
    """
    starts, height = grid.rows, grid.tile[0]
    begin = next(i for i, row in enumerate(starts) if row + height > starts[first])
    sums = _Sums(grid, stripe)
    for i in range(begin, len(starts)):
        sums.add(starts[i], predict, batch_size)
        last = i + 1 == len(starts)
        done = height if last else starts[i + 1] - starts[i]
        if i >= first:
            yield sums.rows(starts[i], done, i + 1)
        sums.move(done)


class _Sums:
    """Weighted logits of one row of tiles of a stripe."""

    def __init__(self, grid: Grid, stripe: Tuple[int, int]) -> None:
        self.grid, self.stripe = grid, stripe
        shape = (grid.tile[0], stripe[1] - stripe[0])
        self.logits = np.zeros((grid.classes, *shape), np.float32)
        self.weight, self.empty = np.zeros(shape, np.float32), np.zeros(shape, bool)
        self.of_tile = tile_weight(grid.tile, grid.overlap)

    def add(self, row: int, predict: Predict, batch_size: int) -> None:
        """Add the tiles of a row that reach into the stripe."""
        left, right = self.stripe
        columns = [c for c in self.grid.columns if c < right and c + self.grid.tile[1] > left]
        for i in range(0, len(columns), batch_size):
            tiles = [Tile(row, column) for column in columns[i : i + batch_size]]
            for tile, (logits, empty) in zip(tiles, predict(tiles)):
                self._add(tile.column, logits, empty)

    def _add(self, column: int, logits: Optional[np.ndarray], empty: np.ndarray) -> None:
        left, right = self.stripe
        start, stop = max(column, left), min(column + self.grid.tile[1], right)
        here, there = slice(start - left, stop - left), slice(start - column, stop - column)
        self.empty[:, here] = empty[:, there]
        if logits is not None:
            weight = self.of_tile[:, there]
            self.logits[:, :, here] += logits[:, :, there] * weight
            self.weight[:, here] += weight

    def rows(self, row: int, count: int, next_row: int) -> Rows:
        """The first ``count`` rows, as means."""
        weight = np.maximum(self.weight[:count], np.finfo(np.float32).tiny)
        logits = self.logits[:, :count] / weight
        return Rows(row, self.stripe[0], logits, self.empty[:count].copy(), next_row)

    def move(self, rows: int) -> None:
        """Move to the next row of tiles, ``rows`` further down."""
        kept = len(self.weight) - rows
        for sums in (self.logits, self.weight[None], self.empty[None]):
            sums[:, :kept] = sums[:, rows:].copy()
            sums[:, kept:] = 0
