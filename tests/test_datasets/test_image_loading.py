# Copyright (c) mmseg_ctt contributors.
"""Values and channels that a pipeline gets, and the step that loads them."""

import numpy as np
import pytest
from image_makers import colours, encoded, tiff
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmseg_ctt.datasets.image_loading import loads
from mmseg_ctt.datasets.image_reading import turned
from mmseg_ctt.datasets.image_values import picture_of, read_picture, to_input, to_picture


def load(path, **settings) -> np.ndarray:
    step = TRANSFORMS.build(dict(type='CheckedLoadImageFromFile', **settings))
    results = step(dict(img_path=str(path)))
    assert results['img_shape'] == results['ori_shape'] == results['img'].shape[:2]
    return results['img']


def write(path, array: np.ndarray, kind: str = 'PNG', orientation=None):
    path.write_bytes(encoded(Image.fromarray(array), kind, orientation))
    return path


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
def test_plain_photos_are_those_of_mmcv(tmp_path, kind):
    path = write(tmp_path / 'x', colours(40, 60), kind)
    for settings in ({}, dict(color_type='unchanged'), dict(to_float32=True)):
        want = LoadImageFromFile(**settings)(dict(img_path=str(path)))['img']
        got = load(path, **settings)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


@pytest.mark.parametrize('color_type', ['color', 'grayscale', 'unchanged'])
def test_every_color_type_is_turned(tmp_path, color_type):
    plain = load(write(tmp_path / 'a.png', colours()), color_type=color_type)
    for orientation in (3, 6):
        path = write(tmp_path / 'b.png', colours(), orientation=orientation)
        got = load(path, color_type=color_type)
        np.testing.assert_array_equal(got, turned(plain, orientation))


def test_channels():
    grey, colour = colours(channels=1), colours()
    for given in (grey, grey[..., 0], np.dstack([grey, grey * 0])):  # grey with an alpha channel
        np.testing.assert_array_equal(to_input(given, 'grayscale', None, 'x'), grey[..., 0])
        np.testing.assert_array_equal(to_input(given, 'color', None, 'x'), grey.repeat(3, 2))
    with_alpha = np.dstack([colour, grey])
    np.testing.assert_array_equal(to_input(with_alpha, 'color', None, 'x'), colour)
    for given in (colour, with_alpha, colours(channels=7)):
        np.testing.assert_array_equal(to_input(given, 'unchanged', None, 'x'), given)
    luma = to_input(colour, 'grayscale', None, 'x').astype(float)
    assert np.abs(luma - colour @ (0.114, 0.587, 0.299)).max() <= 1
    for color_type in ('color', 'grayscale'):
        with pytest.raises(ValueError, match='x has 7 channels.*image_loading.color_type'):
            to_input(colours(channels=7), color_type, None, 'x')


def test_twelve_bits_keep_their_values(tmp_path):
    """4096 levels stay 4096; stock mmseg makes 16 of them."""
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = write(tmp_path / 'x.png', values)
    got = load(path, value_range=(0, 4095))
    assert got.dtype == np.float32 and got.shape == (64, 64, 3)
    np.testing.assert_allclose(got[..., 1], values * (255 / 4095), atol=1e-4)
    assert len(np.unique(got)) == 4096
    with pytest.raises(
        ValueError, match=r'x\.png is not of 8 bit: it holds uint16 from 0 to 4095\..*\(0, 4095\)'
    ):
        load(path)


@pytest.mark.parametrize(
    'values, example',
    [
        (np.uint16([[0, 700]]), r'\(0, 1023\)'),
        (np.uint16([[0, 60000]]), r'\(0, 65535\)'),
        (np.float32([[0, 0.5]]), r'\(0, 1\)'),
        (np.int16([[-1000, 400]]), r'\(-1000, 400\)'),
        (np.float32([[2, 9.5]]), r'\(2, 9.5\)'),
    ],
)
def test_deep_images_are_refused_with_an_example(values, example):
    with pytest.raises(ValueError, match=f'such as {example}, or convert'):
        to_input(values, 'unchanged', None, 'x')


def test_value_range():
    """Linear, clipped, and nothing to do with images of 8 bit."""
    values = np.array([[-2000, -1000, -300, 400, 900]], np.int16)
    got = to_input(values, 'unchanged', (-1000, 400), 'x')
    np.testing.assert_allclose(got, [[0, 0, 127.5, 255, 255]])
    np.testing.assert_array_equal(to_input(colours(), 'unchanged', (0, 4095), 'x'), colours())
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match='x holds values that are not finite'):
            to_input(np.float32([[0, bad]]), 'unchanged', (0, 1), 'x')
    with pytest.raises(ValueError, match='x holds bool: give uint8'):
        to_input(np.array([[True]]), 'unchanged', (0, 1), 'x')


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(value_range=(5, 5)), 'image_loading.value_range must be a pair of rising numbers'),
        (dict(value_range=7), r'pair of rising numbers such as \(0, 4095\), got 7'),
        (dict(color_type='rgb'), "image_loading.color_type must be one of .*, got 'rgb'"),
        (dict(color_type='color_ignore_orientation'), 'remove the tag from the files'),
        (dict(imdecode_backend='pillow'), "imdecode_backend='pillow' would be unused"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        TRANSFORMS.build(dict(type='CheckedLoadImageFromFile', **settings))


def test_files_that_cannot_be_loaded(tmp_path):
    (tmp_path / 'x.png').write_text('no image')
    with pytest.raises(ValueError, match='cannot decode image .*x.png'):
        load(tmp_path / 'x.png')
    step = TRANSFORMS.build(dict(type='CheckedLoadImageFromFile', ignore_empty=True))
    for name in ('x.png', 'absent.png'):
        assert step(dict(img_path=str(tmp_path / name))) is None
        assert not loads(None, str(tmp_path / name))


def test_settings_are_shown():
    step = TRANSFORMS.build(dict(type='CheckedLoadImageFromFile', value_range=[0, 9]))
    assert repr(step).startswith('CheckedLoadImageFromFile(ignore_empty=False')
    assert repr(step).endswith('value_range=(0.0, 9.0))')


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 6])
@pytest.mark.parametrize('kind', [np.uint8, np.float32])
def test_pictures_of_any_channels(channels, kind):
    pixels = colours(channels=channels)
    got = to_picture(pixels.astype(kind))
    want = pixels[..., [2, 1, 0]] if channels > 2 else pixels[..., :1].repeat(3, 2)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, want)


def test_pictures_of_deep_images(tmp_path):
    path = tmp_path / 'x.tif'
    values = np.float32([[[0.25], [0.5]], [[0.75], [0.5]]])
    path.write_bytes(tiff(values))
    assert read_picture(str(path))[..., 0].tolist() == [[0, 128], [255, 128]]
    assert read_picture(str(path), (0, 1))[..., 0].tolist() == [[64, 128], [191, 128]]
    assert (picture_of(np.full((2, 2), 7.0)) == 0).all()
