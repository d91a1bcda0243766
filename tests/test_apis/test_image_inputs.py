# Copyright (c) mmseg_ctt contributors.
"""A file, an array and a PIL image of the same picture give the same prediction and picture."""

import numpy as np
import pytest
from image_makers import colours, encoded
from PIL import Image
from toy import of_channels
from toy_run import make_run, small_segmentor

from mmseg_ctt.datasets.image_reading import turned
from mmseg_ctt.deploy.api import load_model, predict

SIZE = (32, 48)


def model_of(folder, channels=3, **settings):
    """A model whose pipelines load images with some settings."""
    run = make_run(folder, model=of_channels(small_segmentor(), channels))
    run.cfg.image_loading = settings
    return load_model(run.cfg, run.checkpoint)


def assert_same(model, path, array):
    """All kinds of input of an image: the file, its pixels as shown, and Pillow's image."""
    results = [predict(model, given) for given in (path, array, Image.open(path))]
    loaded = Image.open(path)
    loaded.load()
    results.append(predict(model, loaded))
    for one in results[1:]:
        np.testing.assert_array_equal(one.confidence, results[0].confidence)
        np.testing.assert_array_equal(one.image, results[0].image)
    result = results[0]
    assert result.labels.shape == array.shape[:2] and result.image.shape == (*array.shape[:2], 3)
    assert result.overlay().shape == result.image.shape
    return result


@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_orientation(tmp_path, orientation):
    pixels = colours(*SIZE)
    path = tmp_path / 'x.png'
    path.write_bytes(encoded(Image.fromarray(pixels), 'PNG', orientation))
    result = assert_same(model_of(tmp_path / 'run'), path, turned(pixels, orientation))
    np.testing.assert_array_equal(result.image, turned(pixels, orientation))
    saved = Image.open(result.save(tmp_path / 'saved.png', 'labels'))
    np.testing.assert_array_equal(np.array(saved), result.labels)


@pytest.mark.parametrize('channels, color_type', [(1, 'grayscale'), (4, 'unchanged')])
def test_channels(tmp_path, channels, color_type):
    pixels = colours(*SIZE, channels)
    path = tmp_path / 'x.png'
    path.write_bytes(encoded(Image.fromarray(pixels.squeeze()), 'PNG'))
    model = model_of(tmp_path / 'run', channels, color_type=color_type)
    result = assert_same(model, path, pixels)
    shown = pixels[..., :3] if channels > 2 else pixels.repeat(3, 2)
    np.testing.assert_array_equal(result.image, shown)
    assert result.save(tmp_path / 'overlay.png').is_file()


def test_twelve_bits(tmp_path):
    values = np.random.RandomState(0).randint(0, 4096, SIZE).astype(np.uint16)
    path = tmp_path / 'x.png'
    path.write_bytes(encoded(Image.fromarray(values), 'PNG'))
    result = assert_same(model_of(tmp_path / 'run', value_range=(0, 4095)), path, values)
    assert result.image.mean() == pytest.approx(values.mean() * 255 / 4095, abs=0.5)
    model = model_of(tmp_path / 'other')
    for given in (path, values, Image.open(path)):
        with pytest.raises(ValueError, match='not of 8 bit: it holds uint16 from'):
            predict(model, given)
