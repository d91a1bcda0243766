# Copyright (c) mmseg_ctt contributors.
"""GeoTIFFs in the loading steps: bands, depths, pixels without data."""

import struct
import sys

import numpy as np
import pytest
import torch
from image_makers import colours, tiff
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from toy import losses_of, of_channels, toy_batch, toy_model, toy_segmentor
from toy_rasters import GEOGRAPHIC, UTM, rasterio, values_of, write_raster

from mmseg_ctt.datasets.image_loading import CheckedLoadImageFromFile, loads
from mmseg_ctt.datasets.image_reading import (
    UnreadableImageError,
    damage_of,
    image_size,
    read_image,
    turned,
)
from mmseg_ctt.datasets.image_values import check_nodata
from mmseg_ctt.datasets.label_check import read_mask
from mmseg_ctt.datasets.tiff_header import read_tiff_header
from mmseg_ctt.datasets.transforms import CheckedLoadAnnotations
from mmseg_ctt.nn.images import Images
from mmseg_ctt.rasters import opened

TILED = dict(tiled=True, blockxsize=16, blockysize=16, compress='deflate')
STRIPPED = dict(compress='lzw')


def load(path, **settings):
    settings = {'color_type': 'unchanged', **settings}
    return CheckedLoadImageFromFile(**settings).transform(dict(img_path=str(path)))


@pytest.mark.parametrize('crs, layout', [(UTM, TILED), (GEOGRAPHIC, STRIPPED), (None, TILED)])
@pytest.mark.parametrize('bands, dtype', [(3, 'uint8'), (5, 'uint16'), (13, 'float32')])
def test_every_band_is_loaded(tmp_path, crs, layout, bands, dtype):
    values = values_of(bands, dtype=dtype)
    path = write_raster(tmp_path / 'a.tif', values, crs, **layout)
    assert read_tiff_header(path.read_bytes()).geo
    got = load(path, value_range=(0, 4000))['img']
    expected = values.transpose(1, 2, 0)
    if bands == 3:
        expected = expected[..., ::-1]  # blue first, as for every image
    if dtype != 'uint8':
        expected = expected.astype(np.float32) * (255 / 4000)
    assert got.dtype == (np.uint8 if dtype == 'uint8' else np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert image_size(path) == (32, 48)
    np.testing.assert_array_equal(read_image(path).shape, expected.shape)


def test_pixels_without_data(tmp_path):
    """Of one band: 0 in it. Of all bands: ignored as well."""
    values = values_of(5, dtype='uint16')
    values[:, :8] = values[2, 20:, :4] = 9999
    path = write_raster(tmp_path / 'a.tif', values, nodata=9999)
    results = load(path, value_range=(1, 4000))
    missing = values.transpose(1, 2, 0) == 9999
    assert (results['img'][missing] == 0).all() and (results['img'][~missing] >= 0).all()
    assert (results['nodata'] == missing.all(2)).all() and results['seg_fields'] == ['nodata']
    assert 'nodata' not in load(write_raster(tmp_path / 'b.tif', values), value_range=(0, 9999))


def test_kinds_of_missing_pixels(tmp_path):
    """Not a number, an alpha band, a mask inside the file, a value that the config names."""
    values = values_of(2, dtype='float32')
    values[:, :4] = np.nan
    results = load(write_raster(tmp_path / 'nan.tif', values, nodata=np.nan), value_range=(0, 1))
    assert results['nodata'][:4].all() and not results['nodata'][4:].any()
    values = values_of(4)
    values[3] = 255
    values[3, :5] = 0
    path = write_raster(tmp_path / 'alpha.tif', values, photometric='RGB', alpha='YES')
    assert load(path, color_type='color')['nodata'][:5].all()
    path = write_raster(tmp_path / 'mask.tif', values_of(3))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as file:
        file.write_mask(values[3])
    assert read_tiff_header(path.read_bytes()).nodata
    assert (load(path)['nodata'] == (values[3] == 0)).all()
    values = values_of(3)
    values[:, :, :6] = 0
    path = write_raster(tmp_path / 'said.tif', values)
    assert load(path, nodata=0)['nodata'][:, :6].all() and 'nodata' not in load(path)
    Image.fromarray(values.transpose(1, 2, 0)).save(tmp_path / 'plain.png')
    assert load(tmp_path / 'plain.png', nodata=0)['nodata'][:, :6].all()
    for wrong in ('0', True):
        with pytest.raises(ValueError, match='image_loading.nodata must be'):
            CheckedLoadImageFromFile(nodata=wrong)


def plain_tiff(path, values, nodata=None, **profile):
    """A TIFF of rasterio without coordinates."""
    bands, height, width = values.shape
    settings = dict(count=bands, height=height, width=width, dtype=values.dtype, nodata=nodata)
    with opened(path, 'w', driver='GTiff', **settings, **profile) as file:
        file.write(values)
    assert not read_tiff_header(path.read_bytes()).geo
    return path


def test_missing_pixels_of_a_tiff_without_coordinates(tmp_path):
    values = values_of(3, dtype='uint16')
    values[:, :6] = 0
    path = plain_tiff(tmp_path / 'value.tif', values, nodata=0)
    for given in (None, 0):
        results = load(path, value_range=(-100, 4000), nodata=given)
        assert (results['nodata'][:6] == 1).all() and (results['nodata'][6:] == 0).all()
        assert (results['img'][:6] == 0).all()
    assert (read_image(path) == values.transpose(1, 2, 0)[..., ::-1]).all()
    inside = np.full(values.shape[1:], 255, np.uint8)
    inside[:, :9] = 0
    path = plain_tiff(tmp_path / 'mask.tif', values_of(3))
    with opened(path, 'r+') as file:
        file.write_mask(inside)
    assert (load(path)['nodata'] == (inside == 0)).all()


def test_missing_pixels_of_a_palette(tmp_path):
    """A viewer shows colours; the value without data is one of the indices."""
    ids = values_of(1) % 4
    path = plain_tiff(tmp_path / 'a.tif', ids, nodata=3, photometric='PALETTE')
    with opened(path, 'r+') as file:
        file.write_colormap(1, {k: (60 * k, 50, 40, 255) for k in range(4)})
    results = load(path, color_type='color')
    assert (results['nodata'] == (ids[0] == 3)).all()
    assert (results['img'][ids[0] == 3] == 0).all()
    assert (results['img'][ids[0] == 2] == (40, 50, 120)).all()


def test_turned_tiffs_have_turned_missing_pixels(tmp_path):
    values = values_of(3)
    values[:, :4] = 0
    content = bytearray(plain_tiff(tmp_path / 'a.tif', values, nodata=0).read_bytes())
    shown = read_image(tmp_path / 'a.tif')
    plain = tiff(values.transpose(1, 2, 0), rgb=True, orientation=6)
    assert read_tiff_header(plain).orientation == 6
    # GDAL writes no orientation: the tag of the planar configuration, which is 1, gives its place
    at = content.index(struct.pack('<HHII', 284, 3, 1, 1))
    content[at : at + 12] = struct.pack('<HHII', 274, 3, 1, 6)
    (tmp_path / 'a.tif').write_bytes(content)
    results = load(tmp_path / 'a.tif')
    assert (results['img'] == turned(shown, 6)).all() and results['img'].shape[:2] == (48, 32)
    assert results['nodata'][:, -4:].all() and not results['nodata'][:, :-4].any()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('text', [True, False])
def test_missing_pixels_that_are_not_finite(tmp_path, value, text):
    """Of files that are no rasters, and of whole bands of those that are."""
    values = colours(20, 30).astype(np.float32)
    values[:3], values[5, 5, 0] = value, value
    path = tmp_path / 'a.tif'
    path.write_bytes(tiff(values, rgb=True))
    results = load(path, value_range=(0, 255), nodata=str(value) if text else value)
    assert results['nodata'][:3].all() and not results['nodata'][3:].any()
    assert (results['img'][:3] == 0).all() and results['img'][5, 5, 2] == 0
    assert np.allclose(results['img'][6:], values[6:, :, ::-1], atol=1e-4)
    assert check_nodata(value) == str(value)  # a config file cannot hold the number


@pytest.mark.parametrize('labels', [True, False])
def test_they_are_ignored_through_a_pipeline(tmp_path, labels):
    """Flipped, resized and cropped with the image; ignored labels, or a map of the sample."""
    values = values_of(5)
    values[:, :10, :20] = 0
    image = write_raster(tmp_path / 'a.tif', values, nodata=0)
    Image.fromarray(np.ones((32, 48), np.uint8)).save(tmp_path / 'a.png')
    steps = [dict(type='CheckedLoadImageFromFile', color_type='unchanged')]
    steps += [dict(type='CheckedLoadAnnotations', num_classes=2)] if labels else []
    steps += [
        dict(type='Resize', scale=(96, 64)),
        dict(type='RandomFlip', prob=1.0),
        dict(type='RandomCrop', crop_size=(64, 80)),
        dict(type='PackSegInputs'),
    ]
    with DefaultScope.overwrite_default_scope('mmseg'):
        pipeline = Compose(steps)
    info = dict(img_path=str(image), reduce_zero_label=False, seg_fields=[])
    packed = pipeline(dict(info, seg_map_path=str(tmp_path / 'a.png')))
    sample = packed['data_samples']
    dark = (packed['inputs'] == 0).all(0)
    assert dark.any() and not dark.all()
    near = (sample.nodata.data[0] != dark).float().mean()  # bilinear against nearest, at the edge
    assert near < 0.03
    if labels:
        assert ((sample.gt_sem_seg.data[0] == 255) == sample.nodata.data[0]).all()
    sample.set_metainfo(dict(img_shape=tuple(dark.shape)))
    other = SegDataSample(metainfo=dict(img_shape=tuple(dark.shape)))
    valid = Images(torch.zeros(2, 5, *dark.shape), [sample, other]).valid()
    assert (valid[0] == ~sample.nodata.data[0]).all() and valid[1].all()


def test_an_evaluation_ignores_them_at_the_size_of_the_file(tmp_path):
    values = values_of(3)
    values[:, :10] = 0
    write_raster(tmp_path / 'a.tif', values, nodata=0)
    Image.fromarray(np.ones((32, 48), np.uint8)).save(tmp_path / 'a.png')
    results = load(tmp_path / 'a.tif')
    results['img'] = results['img'][::2, ::2]
    step = CheckedLoadAnnotations(num_classes=2)
    results.update(seg_map_path=str(tmp_path / 'a.png'), reduce_zero_label=False, seg_fields=[])
    seg_map = step.transform(results)['gt_seg_map']
    assert (seg_map[:10] == 255).all() and (seg_map[10:] == 1).all()


def test_masks_that_are_rasters(tmp_path):
    ids = (values_of(1) % 3).astype(np.uint8)
    ids[:, :5] = 200
    path = write_raster(tmp_path / 'a.tif', ids, nodata=200)
    got = read_mask(path)
    assert (got[:5] == 255).all() and (got[5:] == ids[0, 5:]).all()
    results = dict(seg_map_path=str(path), reduce_zero_label=False, seg_fields=[])
    assert (CheckedLoadAnnotations(3).transform(results)['gt_seg_map'] == got).all()
    for ignored in (254, -1, 300):
        other = np.where(got == 255, ignored, got.astype(int))
        assert (read_mask(path, ignored) == other).all()
        step = CheckedLoadAnnotations(3, ignored)
        assert (step.transform(dict(results, seg_fields=[]))['gt_seg_map'] == other).all()
    whole = write_raster(tmp_path / 'b.tif', ids.astype(np.float32), nodata=200)
    assert (read_mask(whole) == got).all() and read_mask(whole).dtype.kind == 'i'
    with pytest.raises(ValueError, match='holds float32, not integer ids'):
        broken = write_raster(tmp_path / 'c.tif', ids + np.float32(0.5))
        CheckedLoadAnnotations(3).transform(dict(results, seg_map_path=str(broken)))


@pytest.mark.parametrize('nodata', [None, 0])
def test_damaged_files(tmp_path, nodata):
    """They are damaged images, as others are: a training may skip them."""
    path = write_raster(tmp_path / 'a.tif', values_of(3), nodata=nodata)
    assert damage_of(str(path)) is None
    content = path.read_bytes()
    for size in (len(content) // 2, len(content) - 200):
        path.write_bytes(content[:size])
        assert 'cannot decode image' in (damage_of(str(path)) or '')
        with pytest.raises(UnreadableImageError, match='a.tif'):
            load(path, nodata=0)
        assert not loads(None, str(path))


def test_without_rasterio(tmp_path, monkeypatch):
    plain = write_raster(tmp_path / 'a.tif', values_of(3))
    holes = write_raster(tmp_path / 'b.tif', values_of(3), nodata=0)
    expected = read_image(plain)
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    monkeypatch.setattr('mmseg_ctt.datasets.tiff_pixels.has_rasterio', lambda: False)
    assert (load(plain)['img'] == expected).all()  # nothing is missing in it
    with pytest.raises(ValueError, match=r"pip install 'mmseg_ctt\[geo\]'"):
        load(holes)


def test_plain_tiffs_stay_with_their_decoders():
    assert not read_tiff_header(tiff(np.zeros((4, 5, 6), np.uint8))).geo


def test_a_step_of_five_bands_ignores_pixels_without_data():
    """The consistency loss does not depend on pseudo-labels where an image has no data."""

    def losses(missing):
        model = toy_model(
            'FixMatchSeg',
            segmentor=of_channels(toy_segmentor(), 5),
            consistency=dict(confidence_threshold=0.0),
            strong_augmentation=[dict(type='ColorJitter')],
        )
        batch = toy_batch(channels=5)
        for sample in batch['data_samples']:
            sample.nodata = PixelData(data=missing[None])
        return losses_of(model, batch)

    everything = losses(torch.zeros(32, 32, dtype=torch.bool))
    nothing = losses(torch.ones(32, 32, dtype=torch.bool))
    key = next(key for key in everything if 'loss' in key and 'unsup' in key)
    assert everything[key] > 0 and nothing[key] == 0
