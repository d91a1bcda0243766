# Copyright (c) mmseg_ctt contributors.
"""Tiles of a raster, and the blending of their logits."""

import numpy as np
import pytest

from mmseg_ctt.deploy.predicting.tiles import Grid, blended_rows, tile_starts, tile_weight


@pytest.mark.parametrize('length, tile, overlap', [(10, 4, 1), (4, 4, 2), (5, 4, 2), (97, 32, 16)])
def test_tiles_cover_an_axis(length, tile, overlap):
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0 and starts[-1] + tile == length
    assert all(0 < b - a <= tile - overlap for a, b in zip(starts, starts[1:]))


def test_weights_fall_to_the_edge():
    weight = tile_weight((8, 6), 2)
    assert weight.shape == (8, 6) and weight.min() > 0 and weight[3, 3] == 1
    assert weight[0, 3] == 0.25 and weight[1, 3] == 0.75 and (weight == weight[::-1]).all()


def reference(grid, logits_of):
    """All tiles on a canvas of the size of the raster."""
    total = np.zeros((grid.classes, *grid.size))
    weight = np.zeros(grid.size)
    height, width = grid.tile
    for row in grid.rows:
        for column in grid.columns:
            place = (slice(row, row + height), slice(column, column + width))
            of_tile = tile_weight(grid.tile, grid.overlap)
            total[(slice(None), *place)] += logits_of(row, column) * of_tile
            weight[place] += of_tile
    return total / weight


@pytest.mark.parametrize('memory', [1, 10**9])
@pytest.mark.parametrize('first', [0, 2])
def test_blending_does_not_depend_on_stripes_or_stops(memory, first):
    grid = Grid((50, 70), (16, 20), 6, 3)
    most = []

    def logits_of(row, column):
        return np.random.RandomState(row * 1000 + column).randn(3, 16, 20).astype(np.float32)

    def predict(tiles):
        most.append(len(tiles))
        return [(logits_of(*tile), np.zeros((16, 20), bool)) for tile in tiles]

    expected, found = reference(grid, logits_of), np.full((3, 50, 70), np.nan)
    stripes = grid.stripes(memory)
    assert len(stripes) == (2 if memory == 1 else 1)
    for stripe in stripes:
        for rows in blended_rows(grid, stripe, predict, 2, first):
            height, width = rows.empty.shape
            found[:, rows.row : rows.row + height, rows.column : rows.column + width] = rows.logits
    start = grid.rows[first]
    np.testing.assert_allclose(found[:, start:], expected[:, start:], rtol=1e-4, atol=1e-5)
    assert np.isnan(found[:, :start]).all() and max(most) == 2
