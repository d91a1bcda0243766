# Copyright (c) mmseg_ctt contributors.
"""Files are read as viewers show them, whole, and alike as a path, an array and a Pillow image."""

import io
import struct
import sys
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
from image_makers import colours, encoded, tiff
from PIL import Image, ImageOps

from mmseg_ctt.datasets.image_reading import (
    decode_image,
    decodes,
    image_size,
    pillow_pixels,
    read_image,
    swapped,
    turned,
)
from mmseg_ctt.datasets.label_check import check_mask

FORMATS = ('JPEG', 'PNG', 'TIFF', 'WEBP')


def decoded(content: bytes) -> np.ndarray:
    return decode_image(content, 'x')


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(tmp_path, kind, orientation):
    """All eight tags in all formats, as Pillow's own ``exif_transpose`` shows them."""
    content = encoded(Image.fromarray(colours()), kind, orientation)
    shown = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    path = tmp_path / f'x.{kind.lower()}'
    path.write_bytes(content)
    np.testing.assert_array_equal(swapped(decoded(content)), shown)
    assert image_size(path) == shown.shape[:2]
    opened, loaded = Image.open(path), Image.open(io.BytesIO(content))
    loaded.load()
    for image in (opened, loaded):
        np.testing.assert_array_equal(swapped(pillow_pixels(image)), shown)
    if kind != 'JPEG':
        np.testing.assert_array_equal(turned(colours(), orientation), shown)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'I;16', 'F'])
def test_orientation_of_other_modes(mode):
    """TIFF files of every depth, which decoders turn by themselves or not."""
    values = colours(channels=4 if mode == 'RGBA' else 1).squeeze()
    kinds = {'I;16': np.uint16, 'F': np.float32}
    image = Image.fromarray(values.astype(kinds.get(mode, np.uint8)))
    assert image.mode == mode
    want = turned(values, 6)
    for settings in (dict(), dict(compression='tiff_lzw')):
        got = decoded(encoded(image, 'TIFF', 6, **settings))
        np.testing.assert_array_equal(swapped(got), want)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'BMP'])
@pytest.mark.parametrize('flag', ['color', 'grayscale'])
def test_plain_photos_are_those_of_mmcv(kind, flag):
    """Bit for bit, so that no run changes: colours, and grey files in grey."""
    pixels = colours(64, 96)
    image = Image.fromarray(pixels if flag == 'color' else pixels[..., 0])
    content = encoded(image, kind)
    np.testing.assert_array_equal(decoded(content), mmcv.imfrombytes(content, flag=flag))


DEEP = dict(
    grey16=(np.uint16, 1, 4096),
    colour16=(np.uint16, 3, 65536),
    alpha16=(np.uint16, 4, 65536),
    grey32=(np.float32, 1, None),
    colour32=(np.float32, 3, None),
)


# PNG has no numbers with a point
DEEP_FILES = [(name, '.tif') for name in DEEP] + [(name, '.png') for name in DEEP if '16' in name]


@pytest.mark.parametrize('name, ending', DEEP_FILES)
def test_no_value_of_deep_images_is_lost(tmp_path, name, ending):
    kind, channels, top = DEEP[name]
    random = np.random.RandomState(0)
    shape = (20, 30, channels) if channels > 1 else (20, 30)
    pixels = (random.rand(*shape) if top is None else random.randint(0, top, shape)).astype(kind)
    path = tmp_path / f'x{ending}'
    lossless = [cv2.IMWRITE_TIFF_COMPRESSION, 1] if ending == '.tif' else []
    assert cv2.imwrite(str(path), pixels, lossless)
    got = read_image(path)
    assert got.dtype == kind
    np.testing.assert_array_equal(got, pixels)
    assert image_size(path) == (20, 30) and decodes(path)
    if kind == np.uint16 or channels == 1:  # others Pillow does not open
        np.testing.assert_array_equal(pillow_pixels(Image.open(path)), pixels)


def palette_image(transparent: bool = False) -> bytes:
    image = Image.fromarray(colours()).quantize(16)
    return encoded(image, 'PNG', **(dict(transparency=3) if transparent else {}))


OTHERS = dict(
    bits=lambda: encoded(Image.fromarray(colours()[..., 0] > 127), 'PNG'),
    grey_alpha=lambda: encoded(Image.fromarray(colours()).convert('LA'), 'PNG'),
    colour_alpha=lambda: encoded(Image.fromarray(colours(channels=4)), 'PNG'),
    alpha_tiff=lambda: encoded(Image.fromarray(colours(channels=4)), 'TIFF'),
    alpha_webp=lambda: encoded(Image.fromarray(colours(channels=4)), 'WEBP', exact=True),
    palette=palette_image,
    transparent_palette=lambda: palette_image(True),
    palette_bmp=lambda: encoded(Image.fromarray(colours()).quantize(16), 'BMP'),
    palette_tiff=lambda: encoded(Image.fromarray(colours()).quantize(16), 'TIFF'),
    print_colours=lambda: encoded(Image.fromarray(colours()).convert('CMYK'), 'JPEG'),
    print_tiff=lambda: encoded(Image.fromarray(colours()).convert('CMYK'), 'TIFF'),
)


@pytest.mark.parametrize('name', OTHERS)
def test_other_modes_agree_as_path_and_pillow_image(tmp_path, name):
    content = OTHERS[name]()
    path = tmp_path / 'x.img'
    path.write_bytes(content)
    loaded = Image.open(io.BytesIO(content))
    loaded.load()
    got = read_image(path)
    np.testing.assert_array_equal(got, pillow_pixels(loaded))
    mode = {'bits': 'L', 'grey_alpha': 'LA'}.get(name)
    mode = mode or ('RGBA' if 'alpha' in name or 'transparent' in name else 'RGB')
    np.testing.assert_array_equal(swapped(got), np.array(loaded.convert(mode)))


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('extra', [0, 1, 2])
@pytest.mark.parametrize(
    'bands, rgb', [(2, False)] + [(bands, rgb) for bands in (3, 4, 5, 7) for rgb in (False, True)]
)
def test_bands_are_whole_or_refused(monkeypatch, kind, extra, rgb, bands):
    """What OpenCV and Pillow leave out without a word is an error; what they read is exact."""
    monkeypatch.setitem(sys.modules, 'tifffile', None)  # as if it were not installed
    pixels = (colours(channels=bands) / (255 if kind == np.float32 else 1)).astype(kind)
    try:
        got = decoded(tiff(pixels, rgb, extra, orientation=6))
    except ValueError as error:
        name = np.dtype(kind).name
        assert f'the image x has {bands} bands of {name}' in str(error)
        assert 'pip install tifffile' in str(error)
        assert bands > 4 or not rgb
    else:
        np.testing.assert_array_equal(got, turned(swapped(pixels), 6))
        assert bands < 5


@pytest.mark.parametrize('planar', [False, True])
def test_more_bands_by_tifffile(tmp_path, monkeypatch, planar):
    pixels = colours(channels=6)
    path = tmp_path / 'x.tif'
    path.write_bytes(tiff(pixels, orientation=3))
    monkeypatch.setitem(sys.modules, 'tifffile', None)
    with pytest.raises(ValueError, match=r'6 bands of uint8.*pip install tifffile'):
        read_image(path)
    assert decodes(path) and image_size(path) == (20, 30)

    def imread(stream, key):
        assert stream.read() == tiff(pixels) and key == 0  # not turned by the package
        return pixels.transpose(2, 0, 1) if planar else pixels

    monkeypatch.setitem(sys.modules, 'tifffile', SimpleNamespace(imread=imread))
    np.testing.assert_array_equal(read_image(path), turned(pixels, 3))


@pytest.mark.parametrize('planar', ['contig', 'separate'])
def test_more_bands_of_a_real_file(tmp_path, planar):
    tifffile = pytest.importorskip(
        'tifffile',
        reason='tifffile of requirements/tests.txt writes the file of this test; '
        'other formats are tested without it',
    )
    pixels, path = colours(channels=6), tmp_path / 'x.tif'
    stored = pixels if planar == 'contig' else pixels.transpose(2, 0, 1)
    tifffile.imwrite(path, stored, photometric='minisblack', planarconfig=planar)
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize('kind, bands', [(np.float16, 1), (np.float16, 3), (np.int8, 4)])
def test_numbers_that_opencv_does_not_read(kind, bands):
    pytest.importorskip('tifffile', reason='tifffile of requirements/tests.txt reads these numbers')
    pixels = (colours(channels=bands) / 2 - 60).astype(kind)
    got = decoded(tiff(pixels, rgb=bands > 1, extra=2))
    np.testing.assert_array_equal(np.atleast_3d(got), swapped(pixels))


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.uint32])
def test_files_whose_0_is_white(kind):
    """Viewers invert them, of every depth."""
    pixels = colours(channels=1).astype(kind)
    content = bytearray(tiff(pixels))
    at = content.index(struct.pack('<HHIHH', 262, 3, 1, 1, 0)) + 8
    content[at : at + 2] = struct.pack('<H', 0)
    np.testing.assert_array_equal(decoded(bytes(content)), np.iinfo(kind).max - pixels[..., 0])


def test_pages_are_not_left_out():
    with pytest.raises(ValueError, match='the image x has 3 pages of one size'):
        decoded(tiff(colours(), rgb=True, pages=3))
    assert decoded(tiff(colours(), rgb=True)).shape == (20, 30, 3)


@pytest.mark.parametrize('kind', FORMATS)
def test_damaged_files(tmp_path, kind):
    content = encoded(Image.fromarray(colours(64, 64)), kind)
    path = tmp_path / 'x'
    for part, whole in ((content, True), (content[: len(content) // 3], False), (b'', False)):
        path.write_bytes(part)
        assert decodes(path) == whole
        if not whole:
            with pytest.raises(ValueError, match='cannot decode image .*x'):
                read_image(path)
    path.unlink()
    assert not decodes(path)
    for read in (read_image, image_size):
        with pytest.raises(FileNotFoundError, match='x does not exist'):
            read(path)


@pytest.mark.parametrize('orientation', [3, 6])
def test_masks_fit_photos_as_shown(tmp_path, orientation):
    """A mask as stored is refused and told why, unless the sizes agree (a tag of 3)."""
    photo, mask = tmp_path / 'x.jpg', tmp_path / 'x.png'
    photo.write_bytes(encoded(Image.fromarray(colours()), 'JPEG', orientation))
    stored = np.zeros((20, 30), np.uint8)
    Image.fromarray(turned(stored, orientation)).save(mask)
    assert check_mask(mask, photo, 2).tolist() == [600, 0]
    if orientation == 6:
        Image.fromarray(stored).save(mask)
        with pytest.raises(
            ValueError, match=r'20 high and 30 wide, .*x\.jpg has the orientation tag 6, .*viewers'
        ):
            check_mask(mask, photo, 2)
        Image.fromarray(stored[:5]).save(mask)
        with pytest.raises(ValueError, match='30 high and 20 wide$'):
            check_mask(mask, photo, 2)
