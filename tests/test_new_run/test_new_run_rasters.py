# Copyright (c) mmseg_ctt contributors.
"""GeoTIFF masks of every kind that training reads, and values of them that are no data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_folders import BARE, MASKED, blocks, hash_of, photos
from toy_rasters import write_raster

from mmseg_ctt.datasets.colour_conversion import convert
from mmseg_ctt.datasets.label_check import read_mask
from mmseg_ctt.datasets.split_masks import read_folder
from mmseg_ctt.datasets.transforms import CheckedLoadAnnotations
from mmseg_ctt.lab.new_run import new_run


def geo_masks(root: Path, dtype: str = 'uint8', values=(0, 1, 2), **profile) -> None:
    photos(root, MASKED + BARE)
    for stem in MASKED:
        ids = np.array(values)[blocks(hash_of(stem), len(values))].astype(dtype)
        write_raster(root / 'masks' / f'{stem}.tif', ids[None], **profile)


@pytest.mark.parametrize(
    'dtype, profile',
    [
        ('int64', {}),
        ('uint64', {}),
        ('float64', {}),
        ('uint8', dict(compress='lerc')),
        ('int16', dict(nodata=-1)),
    ],
)
def test_masks_that_pillow_does_not_read(tmp_path: Path, dtype: str, profile: dict):
    """new_run takes what training takes, and both read the same."""
    geo_masks(tmp_path, dtype, **profile)
    run = new_run(tmp_path, dry_run=True)
    assert run.found.labels.kind == 'class ids' and len(run.found.labels.names) == 3
    path = tmp_path / 'masks/00.tif'
    expected = blocks(hash_of('00'), 3)
    assert (read_mask(path) == expected).all()
    results = dict(seg_map_path=str(path), reduce_zero_label=False, seg_fields=[])
    assert (CheckedLoadAnnotations(3).transform(results)['gt_seg_map'] == expected).all()


def test_masks_of_another_size(tmp_path: Path):
    geo_masks(tmp_path, 'int64')
    write_raster(tmp_path / 'masks/03.tif', np.zeros((1, 8, 8), np.int64))
    with pytest.raises(ValueError, match=r'03\.tif is 8 high'):
        new_run(tmp_path)


def test_too_many_pixels_for_pillow(tmp_path: Path, monkeypatch):
    geo_masks(tmp_path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    words = 'the mask .* has too many pixels .*cut_rasters.py'
    with pytest.raises(ValueError, match=words):
        new_run(tmp_path)
    path = str(tmp_path / 'masks/00.tif')
    with pytest.raises(ValueError, match=words):
        read_mask(path)
    with pytest.raises(ValueError, match=words):
        CheckedLoadAnnotations(3).transform(dict(seg_map_path=path, reduce_zero_label=False))
    with pytest.raises(ValueError, match=words):
        convert(tmp_path / 'masks', tmp_path / 'ids')
    assert len(read_folder(tmp_path / 'images', tmp_path / 'masks', '.tif').masks) == 6


@pytest.mark.parametrize('options', [{}, dict(palette=['0', '1', '2'])])
def test_a_class_that_the_files_call_no_data(tmp_path: Path, options: dict):
    """0 is no class in any way of reading, and that is said with the command that changes it."""
    geo_masks(tmp_path, nodata=0)
    run = new_run(tmp_path, **options)
    line = '0 is the nodata value of 6 masks, such as masks/00.tif, and no label there'
    assert any(text.startswith(line) and '--unset-nodata' in text for text in run.lines)
    drawn = blocks(hash_of('00'), 3)
    expected = np.where(drawn == 0, 255, drawn - (0 if options else 1))
    assert (np.array(Image.open(tmp_path / 'masks_ids/00.png')) == expected).all()
    share = np.mean([blocks(hash_of(stem), 3) == 0 for stem in MASKED])
    assert any('no label (255)' in text and f'{share:.2%}' in text for text in run.lines)
    with pytest.raises(ValueError, match='no pixel has a colour .* 0 is the nodata value of 6'):
        new_run(tmp_path, palette=['0', '9'], name='b')


@pytest.mark.parametrize('values', [(7, 0, 255), (0, 100, 200)])
def test_pixels_without_data_are_no_class_of_their_own(tmp_path: Path, values: tuple):
    """Neither the object of masks of 0 and 255, nor a grey value."""
    geo_masks(tmp_path, values=values, nodata=values[0])
    labels = new_run(tmp_path).found.labels
    assert len(labels.names) == 2
    drawn = blocks(hash_of('00'), 3)
    written = np.array(Image.open(tmp_path / 'masks_ids/00.png'))
    assert (written == np.where(drawn == 0, 255, drawn - 1)).all()


def test_masks_without_any_data(tmp_path: Path):
    geo_masks(tmp_path, values=(3,), nodata=3)
    with pytest.raises(ValueError, match='no pixel of the masks has data; 3 is the nodata value'):
        new_run(tmp_path)
