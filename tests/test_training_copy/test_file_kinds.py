# Copyright (c) mmseg_ctt contributors.
"""Files of all kinds: a copy gives the values that the pipeline reads of the original."""

import numpy as np
import pytest
from image_makers import colours, encoded, tiff
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import toy_set

from mmseg_ctt.datasets.image_loading import CheckedLoadImageFromFile
from mmseg_ctt.datasets.label_ids import map_ids, reduce_zero
from mmseg_ctt.datasets.plain_files import plain_png
from mmseg_ctt.datasets.training_copy.make import copy_file
from mmseg_ctt.datasets.training_copy.options import options_of
from mmseg_ctt.datasets.training_copy.plan import IMAGE, MASK, Job, plan_of_sources
from mmseg_ctt.datasets.transforms import CheckedLoadAnnotations

PIXELS = colours()
PALETTE = Image.fromarray(PIXELS).quantize(16)
DEEP = np.random.RandomState(0).randint(0, 4096, (20, 30)).astype(np.uint16)
IDS = np.random.RandomState(1).randint(0, 9, (20, 30)).astype(np.uint8)
RAW = options_of('raw', 95, None)
IMAGES = {
    'photo': (encoded(Image.fromarray(PIXELS), 'PNG'), {}, '.bmp'),
    'grey': (encoded(Image.fromarray(IDS), 'PNG'), {}, '.bmp'),
    'turned': (encoded(Image.fromarray(PIXELS), 'JPEG', 6), {}, '.bmp'),
    'palette': (encoded(PALETTE, 'PNG'), {}, '.bmp'),
    'alpha': (encoded(Image.fromarray(colours(channels=4)), 'PNG'), {}, '.bmp'),
    'alpha kept': (
        encoded(Image.fromarray(colours(channels=4)), 'PNG'),
        dict(color_type='unchanged'),
        '.array',
    ),
    '16 bit': (encoded(Image.fromarray(DEEP), 'PNG'), dict(value_range=(0, 4095)), '.array'),
    'five bands': (tiff(colours(channels=5)), dict(color_type='unchanged'), '.array'),
}


def job(path, kind, step, image=None):
    return Job(path.name, path.stem, str(path), kind, str(image or path), step)


@pytest.mark.parametrize('name', IMAGES)
@pytest.mark.parametrize('format', ['raw', 'jpeg'])
def test_images(tmp_path, name, format):
    content, settings, suffix = IMAGES[name]
    if name == 'five bands':
        pytest.importorskip('tifffile')
    path, step = tmp_path / 'a', CheckedLoadImageFromFile(**settings)
    path.write_bytes(content)
    entry = copy_file(job(path, IMAGE, step), tmp_path / 'copy', options_of(format, 95, None))
    found = step(dict(img_path=str(tmp_path / 'copy' / entry.file)))['img']
    expected = step(dict(img_path=str(path)))['img']
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if format == 'raw' or suffix == '.array':
        assert entry.file.endswith(suffix) and np.array_equal(found, expected)
    else:
        assert entry.file.endswith('.jpg')


def test_upright_jpeg_of_its_size_is_not_compressed_again(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(encoded(Image.fromarray(PIXELS), 'JPEG'))
    jpeg = options_of('jpeg', 95, None)
    entry = copy_file(job(path, IMAGE, CheckedLoadImageFromFile()), tmp_path / 'copy', jpeg)
    assert entry.sha256 == entry.source_sha256


MASKS = {
    '8 bit': encoded(Image.fromarray(IDS), 'PNG'),
    '16 bit': encoded(Image.fromarray(DEEP), 'PNG'),
    'palette': encoded(PALETTE, 'PNG'),
    '1 bit': encoded(Image.fromarray(IDS > 4), 'PNG'),
    'orientation tag': encoded(Image.fromarray(IDS), 'PNG', 6),
    'transparent id': encoded(Image.fromarray(IDS), 'PNG', transparency=3),
}


@pytest.mark.parametrize('name', MASKS)
@pytest.mark.parametrize('format', ['raw', 'jpeg'])
def test_masks(tmp_path, name, format):
    """Also: this package reads ids as mmseg's step does, by Pillow."""
    path, image = tmp_path / 'a.png', tmp_path / 'i.png'
    path.write_bytes(MASKS[name])
    image.write_bytes(encoded(Image.fromarray(PIXELS), 'PNG'))
    step = CheckedLoadAnnotations(num_classes=5000)
    entry = copy_file(job(path, MASK, step, image), tmp_path / 'c', options_of(format, 95, None))
    copied = step.decoded((tmp_path / 'c' / entry.file).read_bytes(), 'it')
    assert np.array_equal(copied, step.decoded(MASKS[name], 'it'))
    assert np.array_equal(copied, np.array(Image.open(path)))


def test_plain_png_leaves_out_what_opencv_reads_differently():
    content = MASKS['8 bit']
    assert np.array_equal(plain_png(content), IDS)
    assert np.array_equal(plain_png(MASKS['16 bit']), DEEP)
    others = (MASKS['palette'], MASKS['1 bit'], IMAGES['photo'][0], IMAGES['turned'][0], b'')
    assert all(plain_png(other) is None for other in (*others, content[:60], content[:-30]))


@pytest.mark.parametrize('ignore_index', [255, 0, 7, 300])
def test_tables_map_ids_as_arithmetic_does(ignore_index):
    small = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(
        reduce_zero(small, ignore_index), reduce_zero(small.astype(int), ignore_index)
    )
    label_map = {0: 3, 3: 255, 200: 0, 300: 1, 9: ignore_index}
    assert np.array_equal(map_ids(small, label_map), map_ids(small.astype(int), label_map))
    assert reduce_zero(small[:0]).shape == map_ids(small[:0], label_map).shape == (0, 16)


def test_pixels_without_data_are_refused(tmp_path):
    """Those of a GeoTIFF; one without such pixels is copied."""
    toy_rasters = pytest.importorskip('toy_rasters', reason='the extra geo is not installed')
    step = CheckedLoadImageFromFile()
    for name, nodata in (('whole', 0.0), ('partly', 9.0)):
        values = toy_rasters.values_of()
        values[:, :8] = 9
        path = toy_rasters.write_raster(tmp_path / f'{name}.tif', values, nodata=nodata)
        if name == 'whole':
            entry = copy_file(job(path, IMAGE, step), tmp_path / 'copy', RAW)
            copied = step(dict(img_path=str(tmp_path / 'copy' / entry.file)))['img']
            assert np.array_equal(copied, step(dict(img_path=str(path)))['img'])
            continue
        with pytest.raises(ValueError, match='partly.tif has pixels without data.*originals'):
            copy_file(job(path, IMAGE, step), tmp_path / 'copy', RAW)


def test_a_value_of_pixels_without_data_is_refused(root):
    steps = [dict(type='CheckedLoadImageFromFile', nodata=7)]
    data = DATASETS.build(toy_set(root, False, pipeline=steps))
    with pytest.raises(ValueError, match='image_loading.nodata=7 marks pixels by their value'):
        plan_of_sources(dict(unlabeled=data))


def test_slices_of_volumes_are_refused(root):
    data = DATASETS.build(toy_set(root, False, pipeline=[dict(type='CheckedLoadImageFromFile')]))
    data.get_data_info = lambda index: dict(img_path='case0.nii.gz#z=041')
    with pytest.raises(ValueError, match='case0.nii.gz#z=041 .* is a slice of a volume'):
        plan_of_sources(dict(unlabeled=data))


def test_other_loading_steps_are_refused(root):
    remote = dict(type='CheckedLoadImageFromFile', backend_args=dict(backend='local'))
    for pipeline in ([], [remote]):
        data = DATASETS.build(toy_set(root, False, pipeline=pipeline))
        with pytest.raises(ValueError, match='does not load images by LoadImageFromFile'):
            plan_of_sources(dict(unlabeled=data))
