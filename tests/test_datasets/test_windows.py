# Copyright (c) mmseg_ctt contributors.
"""Windows of a file are parts of what training reads of it, whatever the kind of the file."""

from pathlib import Path

import numpy as np
import pytest
from image_makers import colours, tiff
from PIL import Image
from toy_rasters import rasterio, values_of
from toy_tiffs import PLACES, TABLE, TIFFS, write_tiff

from mmseg_ctt.datasets import windows
from mmseg_ctt.datasets.image_reading import UnreadableImageError
from mmseg_ctt.datasets.nodata import decode_with_nodata
from mmseg_ctt.datasets.windows import Windows
from mmseg_ctt.rasters import opened

PALETTE = Image.fromarray(colours(channels=1)[..., 0] % 8, 'P')
PALETTE.putpalette([number for k in range(8) for number in TABLE[k][:3]])
GREY, RGB, RGBA = (Image.fromarray(np.squeeze(colours(channels=c))) for c in (1, 3, 4))
OTHERS = {
    'grey.png': (GREY, {}),
    'clear_grey.png': (GREY, dict(transparency=3)),
    'rgb.png': (RGB, {}),
    'clear_rgb.png': (RGB, dict(transparency=(1, 2, 3))),
    'rgba.png': (RGBA, {}),
    'palette.png': (PALETTE, {}),
    'clear_palette.png': (PALETTE, dict(transparency=bytes([255, 0, 100, 255]))),
    'one_bit.png': (GREY.point(lambda v: 255 * (v > 99), '1'), {}),
    'sixteen_bits.png': (Image.fromarray(colours(channels=1)[..., 0].astype(np.uint16) * 200), {}),
    'palette.bmp': (PALETTE, {}),
    'rgb.jpg': (RGB, {}),
    'ink.jpg': (Image.fromarray(colours(channels=4), 'CMYK'), {}),
    'rgba.webp': (RGBA, dict(lossless=True)),
}


def check(path: Path, nodata=None) -> None:
    pixels, missing = decode_with_nodata(path.read_bytes(), path.name, nodata)
    with opened(path) as file:
        got, empty = Windows(file, nodata).read(rasterio.windows.Window(3, 2, 20, 16))
    here = (slice(2, 18), slice(3, 23))
    np.testing.assert_array_equal(got, np.atleast_3d(pixels)[here])
    assert got.dtype == pixels.dtype
    shown = [np.zeros(got.shape, bool) if m is None else m for m in (empty, missing)]
    np.testing.assert_array_equal(shown[0], shown[1][here] if missing is not None else shown[1])


@pytest.mark.parametrize('name', TIFFS)
def test_tiffs(tmp_path, name):
    """With coordinates and without, which decides who reads them."""
    for k, place in enumerate(PLACES):
        path = tmp_path / f'{k}.tif'
        write_tiff(path, **TIFFS[name], **place)
        for nodata in (None, 1, int(values_of(3)[0, 20, 20])):
            check(path, nodata)


@pytest.mark.parametrize('name', OTHERS)
def test_other_images(tmp_path, name):
    image, settings = OTHERS[name]
    image.save(tmp_path / name, **settings)
    for nodata in (None, 3):
        check(tmp_path / name, nodata)


def test_pages_are_refused(tmp_path):
    (tmp_path / 'a.tif').write_bytes(tiff(colours(), rgb=True, pages=2))
    with opened(tmp_path / 'a.tif') as file, pytest.raises(ValueError, match='has 2 pages'):
        Windows(file).read(rasterio.windows.Window(0, 0, 8, 8))


def test_damage_is_that_of_an_image(tmp_path):
    write_tiff(tmp_path / 'a.tif', values_of(3, (320, 480)), compress='deflate', **PLACES[1])
    content = (tmp_path / 'a.tif').read_bytes()
    (tmp_path / 'a.tif').write_bytes(content[:-100])
    with opened(tmp_path / 'a.tif') as file:
        with pytest.raises(UnreadableImageError, match='cannot decode image .*a.tif'):
            Windows(file).read(rasterio.windows.Window(0, 0, 480, 320))


def test_large_lossy_files_are_not_held(tmp_path, monkeypatch):
    RGB.save(tmp_path / 'a.jpg')
    for limit, stored in ((RGB.width * RGB.height, False), (9, True)):
        monkeypatch.setattr(windows, 'WHOLE', limit)
        with opened(tmp_path / 'a.jpg') as file:
            assert Windows(file).stored is stored
