# Copyright (c) mmseg_ctt contributors.
"""Inputs that cannot be read, pixels without data, and values that need a range."""

import os
import struct

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from test_predict import call, names_in, of_bands, run, write_film  # noqa: F401, a fixture
from toy_data import write_image
from toy_rasters import values_of, write_raster
from toy_tiffs import write_tiff

from mmseg_ctt.engine.config import prepare_config


def spoil(path):
    """A GeoTIFF whose last tiles are missing."""
    write_raster(path, values_of(3, (64, 320)), compress='deflate', tiled=True, blockxsize=64,
                 blockysize=64)  # fmt: skip
    path.write_bytes(path.read_bytes()[:-40])


def test_the_good_inputs_beside_broken_ones_are_predicted(run, tmp_path):  # noqa: F811
    folder, out = tmp_path / 'in', tmp_path / 'out'
    for name in 'ce':
        write_image(folder / f'{name}.jpg', 0)
    for name in ('a.jpg', 'b.jpg', 'd.jpg', 'g.mp4'):
        (folder / name).write_bytes(b'nothing of this kind')
    spoil(folder / 'h.tif')
    write_raster(folder / 'i.tif', values_of(3))
    lines, good = [], ['labels/c.png', 'labels/e.png', 'labels/i.tif', 'prediction.json']
    words = r'5 of 8 inputs could not .*g.mp4.*a.jpg.*and 2 more, listed above: repair them, or'
    for finished in (False, True):
        with pytest.raises(ValueError, match=words):
            call(run, folder, out, report=lines.append)
        assert [name for name in names_in(out) if '/.' not in name] == good
        assert finished == any('3 of 8 inputs are finished' in line for line in lines)
    assert lines[-3] == '5 inputs are left out, among them:' and 'h.tif' in lines[-1]
    for name in ('a.jpg', 'b.jpg', 'd.jpg'):  # repaired, and no other file for that
        write_image(folder / name, 1)
    (folder / 'g.mp4').unlink()
    write_raster(folder / 'h.tif', values_of(3))
    assert '3 of 7 inputs are finished' in call(run, folder, out)[0]
    assert len(names_in(out)) == 8


def deep(path):
    """An image of 16 bit."""
    Image.fromarray(np.full((32, 48), 300, np.uint16)).save(path)


def dangling(path):
    path.symlink_to(path.with_name('absent'))


def too_long(path):
    """A link to a name that no file can have: for this ``Path.is_file`` raises an error."""
    path.symlink_to('a' * 300)


def turned(path):
    """A GeoTIFF with an orientation tag, in the place of its number of bands, which is 1."""
    write_raster(path, values_of(1))
    entry, tag = (struct.pack('<HHIH', *numbers) for numbers in ((277, 3, 1, 1), (274, 3, 1, 6)))
    content = path.read_bytes()
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, tag))


BAD = [
    ('png', deep, 'is not of 8 bit'),
    ('png', too_long, 'is a link that leads to no file'),
    ('jpg', os.mkfifo, 'is a pipe or a device, not a file'),
    ('tif', turned, 'has the orientation tag 6, .*: remove the tag'),
    ('jpg', dangling, 'is a link that leads to no file'),
    ('tif', dangling, 'is a link that leads to no file'),
    ('mp4', dangling, 'is a link that leads to no file'),
]


@pytest.mark.parametrize('end, spoilt, words', BAD)
@pytest.mark.parametrize('name', ['a', 'c'])
def test_the_first_input_is_treated_as_any_other(
    run,  # noqa: F811
    tmp_path,
    name,
    end,
    spoilt,
    words,
):
    """It is named and left out, the others are predicted, and the call fails."""
    write_image(tmp_path / 'in/b.png', 0)
    spoilt(tmp_path / 'in' / f'{name}.{end}')
    lines = []
    for _ in range(2):
        with pytest.raises(ValueError, match=f'1 of 2 inputs .*{name}.{end} {words}'):
            call(run, tmp_path / 'in', tmp_path / 'out', report=lines.append)
    assert sum('LEFT OUT' in line for line in lines) == 1  # the second predicts nothing
    assert names_in(tmp_path / 'out') == ['labels/b.png', 'prediction.json']


@pytest.mark.parametrize('end, spoilt, words', BAD)
def test_nothing_is_written_if_no_input_can_be_predicted(
    run,  # noqa: F811
    tmp_path,
    end,
    spoilt,
    words,
):
    (tmp_path / 'in').mkdir()
    for name in 'ab':
        spoilt(tmp_path / 'in' / f'{name}.{end}')
    advice = 'or look at the settings' if spoilt in (deep, turned) else 'or give other inputs'
    lines, match = [], f'2 of 2 inputs .*{words}.*{words}.*: nothing was written. Repair .*{advice}'
    with pytest.raises(ValueError, match=match):
        call(run, tmp_path / 'in', tmp_path / 'out', report=lines.append)
    assert not (tmp_path / 'out').exists() and not lines  # no reason is printed twice


OF_THREE_BANDS = dict(
    jpg=lambda path: write_image(path, 0),
    tif=lambda path: write_raster(path, values_of(3)),
    avi=write_film,
)


@pytest.mark.parametrize('name', ['a', 'c'])
@pytest.mark.parametrize('end', OF_THREE_BANDS)
def test_other_bands_than_the_network_takes(run, tmp_path, end, name):  # noqa: F811
    used, folder = of_bands(run, 4), tmp_path / 'in'
    write_image(folder / 'x.jpg', 0)
    write_raster(folder / 'b.tif', values_of(4))
    OF_THREE_BANDS[end](folder / f'{name}.{end}')
    words = rf'2 of 3 inputs .*{name}\.{end} has 3 channels where 4 are expected'
    with pytest.raises(ValueError, match=words):
        call(used, folder, tmp_path / 'out', used.cfg)
    assert names_in(tmp_path / 'out') == ['labels/b.tif', 'prediction.json']  # and no rest


def test_damage_behind_the_first_tile_of_the_only_inputs(run, tmp_path):  # noqa: F811
    """The settings fit, and files of a stopped raster are there: the error says neither."""
    for name in 'ab':
        spoil(tmp_path / f'in/{name}.tif')
    with pytest.raises(ValueError, match='2 of 2 inputs .*: repair them, or take them out'):
        call(run, tmp_path / 'in', tmp_path / 'out', tile=(32, 32))


@pytest.mark.parametrize('name', ['a', 'c'])
def test_a_turned_photo_among_tiles(run, tmp_path, name):  # noqa: F811
    write_image(tmp_path / 'in/b.png', 0, (64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (64, 64)).save(tmp_path / f'in/{name}.jpg', exif=exif)
    words = f'1 of 2 inputs .*{name}.jpg has the orientation tag 6, .*or predict it without --tile'
    with pytest.raises(ValueError, match=words):
        call(run, tmp_path / 'in', tmp_path / 'out', tile=(32, 32))
    assert names_in(tmp_path / 'out') == ['labels/b.tif', 'prediction.json']


@pytest.mark.parametrize('end', OF_THREE_BANDS)
def test_a_finished_input_whose_link_leads_nowhere_later(run, tmp_path, end):  # noqa: F811
    """It stays finished; only to predict it anew is an error."""
    folder, out, stored = tmp_path / 'in', tmp_path / 'out', tmp_path / f'stored.{end}'
    write_image(folder / 'b.jpg', 0)
    OF_THREE_BANDS[end](stored)
    (folder / f'a.{end}').symlink_to(stored)
    call(run, folder, out)
    names = names_in(out)
    stored.unlink()
    assert call(run, folder, out) == [f'{out}: 2 of 2 inputs are finished']
    write_image(folder / 'c.jpg', 1)
    assert f'{out}: 2 of 3 inputs are finished' in call(run, folder, out)
    assert call(run, folder, out) == [f'{out}: 3 of 3 inputs are finished']
    with pytest.raises(ValueError, match=rf'1 of 3 inputs .*a\.{end} is a link that leads to no'):
        call(run, folder, out, overwrite=True)
    assert set(names) < set(names_in(out))


def test_pixels_without_data_of_a_file_without_coordinates(run, tmp_path):  # noqa: F811
    """Its map says 255 there, as that of a raster, and training ignores them."""
    values = values_of(3)
    values[:, :6] = 0
    write_tiff(tmp_path / 'in/a.tif', values, nodata=0)
    out = tmp_path / 'out'
    call(run, tmp_path / 'in', out, overlays=True, probabilities=True)
    labels = np.array(Image.open(out / 'labels/a.png'))
    assert (labels[:6] == 255).all() and (labels[6:] < 4).all()
    assert (np.array(Image.open(out / 'overlays/a.png'))[:6] == 0).all()
    probability = np.load(out / 'probabilities/a.npy')
    assert np.isnan(probability[:, :6]).all() and np.isfinite(probability[:, 6:]).all()
    cfg = Config(run.cfg.to_dict())
    cfg.image_loading = dict(nodata=0)
    Image.fromarray(values.transpose(1, 2, 0)).save(tmp_path / 'a.png')
    call(run, tmp_path / 'a.png', tmp_path / 'said', prepare_config(cfg))
    assert (np.array(Image.open(tmp_path / 'said/labels/a.png')) == labels).all()


def test_the_range_that_is_asked_for_is_of_the_whole_raster(run, tmp_path):  # noqa: F811
    values = values_of(5, (64, 96), 'uint16')
    values[:, :32, :32] = 0
    values[0, 60, 90] = 3999
    used = of_bands(run, 5)
    for nodata in (None, 0):
        path = write_raster(tmp_path / 'a.tif', values, nodata=nodata)
        low = 0 if nodata is None else values[values > 0].min()
        with pytest.raises(ValueError, match=rf'holds uint16 from {low} to 3999. .*\(0, 4095\)'):
            call(used, path, tmp_path / 'out', used.cfg, tile=(32, 32))
    assert not (tmp_path / 'out').exists()
    four = write_raster(tmp_path / 'b.tif', values[:4, :32, :32], nodata=0)
    used = of_bands(run, 5, value_range=(0, 4000))
    with pytest.raises(ValueError, match='b.tif has 4 channels where 5 are expected'):
        call(used, four, tmp_path / 'out', used.cfg, tile=(32, 32))
    assert not (tmp_path / 'out').exists()
