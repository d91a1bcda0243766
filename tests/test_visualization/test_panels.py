# Copyright (c) mmseg_ctt contributors.
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from mmseg_ctt.visualization import colorize, save_grid
from mmseg_ctt.visualization.panels import IGNORED

PALETTE = [[10, 20, 30], [200, 0, 0], [0, 0, 250]]


def test_colours():
    label = np.array([[0, 1], [2, 255], [3, 254]])
    picture = colorize(label, PALETTE)
    assert picture.dtype == np.uint8 and picture.shape == (3, 2, 3)
    assert picture.tolist() == [
        [PALETTE[0], PALETTE[1]],
        [PALETTE[2], list(IGNORED)],
        [list(IGNORED), list(IGNORED)],
    ]


def test_colours_of_8_bit_and_of_large_ids():
    assert colorize(np.array([[1, 255]], np.uint8), PALETTE)[0].tolist() == [
        PALETTE[1],
        list(IGNORED),
    ]
    assert colorize(np.array([[2, 70000]]), PALETTE)[0].tolist() == [PALETTE[2], list(IGNORED)]


def test_colours_of_more_classes_than_8_bit_hold():
    palette = [[k % 256, k // 256, 0] for k in range(300)]
    for ids in ([7, 255], [7, 299], [7, 300]):
        colours = [palette[k] if k < 300 else list(IGNORED) for k in ids]
        assert colorize(np.array([ids]), palette)[0].tolist() == colours


@pytest.mark.parametrize('rows, columns', [(1, 1), (3, 2)])
def test_grid(tmp_path, rows, columns):
    def picture(i, j):
        return np.full((20, 30, 3), [40 * i + 10, 60 * j + 10, 200], np.uint8)

    path = tmp_path / 'grid.png'
    save_grid(
        path,
        [[picture(i, j) for j in range(columns)] for i in range(rows)],
        [f't{j}' for j in range(columns)],
        ['a', 'b', 'c'],
        PALETTE,
    )
    image = np.array(Image.open(path).convert('RGB')).reshape(-1, 3).tolist()
    colours = set(map(tuple, image))
    for i in range(rows):
        for j in range(columns):
            assert tuple(picture(i, j)[0, 0]) in colours
    assert {(10, 20, 30), (200, 0, 0), (0, 0, 250), IGNORED} <= colours  # the legend
    assert not plt.get_fignums()


def test_rows_and_columns_are_where_they_belong(tmp_path):
    red, blue = (np.full((20, 30, 3), colour, np.uint8) for colour in ([250, 0, 0], [0, 0, 250]))
    save_grid(tmp_path / 'grid.png', [[red, blue], [blue, red]], ['x', 'y'], ['a'], [[0, 250, 0]])
    image = np.array(Image.open(tmp_path / 'grid.png').convert('RGB')).astype(int)
    height, width = image.shape[:2]
    upper = image[: height * 2 // 5]
    is_red = (upper[..., 0] > 200) & (upper[..., 1:].max(-1) < 50)
    is_blue = (upper[..., 2] > 200) & (upper[..., :2].max(-1) < 50)
    assert is_red[:, : width // 2].sum() > 20 * is_red[:, width // 2 :].sum()
    assert is_blue[:, width // 2 :].sum() > 20 * is_blue[:, : width // 2].sum()
    assert is_red.sum() > 1000
