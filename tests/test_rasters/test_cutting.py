# Copyright (c) mmseg_ctt contributors.
"""Large rasters cut into images for training."""

import shutil

import numpy as np
import pytest
from PIL import Image
from toy_rasters import GEOGRAPHIC, rasterio, values_of, write_raster
from toy_tiffs import PLACES, TIFFS, write_tiff

from mmseg_ctt.datasets.nodata import decode_with_nodata
from mmseg_ctt.rasters import MapFile, finish_map


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/cut_rasters')


def test_scenes_and_masks(tmp_path, tool, capsys):
    values = values_of(5, (40, 70), 'uint16')
    values[:, :, :20] = 0
    ids = (values_of(1, (40, 70)) % 3).astype(np.int16)
    ids[0, 20:30] = -1
    write_raster(tmp_path / 'scenes/a.tif', values, nodata=0)
    write_raster(tmp_path / 'scenes/below/b.tif', values_of(5, (32, 32), 'uint16'))
    write_raster(tmp_path / 'labels/a.tif', ids, nodata=-1)
    arguments = (tmp_path / 'scenes', tmp_path / 'out', '--masks', tmp_path / 'labels')
    tool.call(*arguments, '--size', 32)
    printed = capsys.readouterr().out
    assert 'a.tif: 4 labelled and 0 unlabelled images, 2 without enough data' in printed
    assert 'b.tif: 0 labelled and 1 unlabelled images' in printed
    images = sorted(path.name for path in (tmp_path / 'out/images').glob('*.tif'))
    assert images == [f'a_r{row:06d}_c{c:06d}.tif' for row in (0, 8) for c in (32, 38)]
    assert (tmp_path / 'out/images/below/b_r000000_c000000.tif').is_file()
    with rasterio.open(tmp_path / 'out/images' / images[-1]) as made:
        assert (made.read() == values[:, 8:, 38:]).all() and made.nodata == 0
        assert made.transform * (0, 0) == (15 + 38 * 10, 48 - 8 * 10)
    mask = np.array(Image.open(tmp_path / 'out/masks/a_r000008_c000038.png'))
    expected = np.where(ids[0] == -1, 255, ids[0])[8:, 38:]
    assert mask.dtype == np.uint8 and (mask == expected).all()
    tool.call(*arguments, '--size', 32)
    again = 'a.tif: 0 labelled and 0 unlabelled images, 2 without enough data, 4 there'
    assert again in capsys.readouterr().out


def test_mistakes(tmp_path, tool):
    values = values_of(3)
    write_raster(tmp_path / 'scenes/a.tif', values)
    arguments = (tmp_path / 'scenes', tmp_path / 'out', '--masks', tmp_path / 'labels')
    for ids, crs, words in (
        (values[:1], GEOGRAPHIC, 'on another grid'),
        (values[:2], 'EPSG:32633', 'has 2 bands'),
        (values[:1] + np.float32(0.5), 'EPSG:32633', 'no class ids'),
    ):
        write_raster(tmp_path / 'labels/a.tif', ids, crs)
        with pytest.raises(ValueError, match=words):
            tool.call(*arguments, '--size', 16)
    with pytest.raises(ValueError, match='less than an image of 512'):
        tool.call(*arguments[:2])
    write_raster(tmp_path / 'labels/other.tif', values[:1])
    with pytest.raises(ValueError, match='other.tif has no scene'):
        tool.call(*arguments)
    with pytest.raises(ValueError, match='--keep-masks is for masks that --masks names'):
        tool.call(*arguments[:2], '--keep-masks')
    (tmp_path / 'empty').mkdir()
    Image.new('L', (48, 32)).save(tmp_path / 'empty/a.png')
    with pytest.raises(FileNotFoundError, match='no .tif or .tiff was found in --masks .*empty'):
        tool.call(*arguments[:3], tmp_path / 'empty')
    assert not list((tmp_path / 'out').rglob('*.*'))


def test_folders_in_one_another(tmp_path, tool, capsys):
    """No mask, and no image of a call before, is taken for a scene."""
    scenes = tmp_path / 'scenes'
    write_raster(scenes / 'a.tif', values_of(3))
    write_raster(scenes / 'labels/a.tif', values_of(1) % 3)
    given = (scenes, '--masks', scenes / 'labels', '--size', 32)
    for out in (scenes, scenes / 'labels'):
        with pytest.raises(ValueError, match='is one of scenes or masks: give another'):
            tool.call(given[0], out, *given[1:])
    with pytest.raises(ValueError, match='is the folder of the scenes'):
        tool.call(scenes, tmp_path / 'out', '--masks', scenes)
    for out in (tmp_path / 'out', scenes / 'out', scenes / 'labels/out', tmp_path):
        for counts in ('2 labelled', '2 there already'):
            tool.call(given[0], out, *given[1:])
            (line,) = capsys.readouterr().out.splitlines()
            assert counts in line
        assert len(list((out / 'images').rglob('*.tif'))) == 2
        shutil.rmtree(out / 'images')


def test_parts_of_a_mask_without_labels(tmp_path, tool, capsys):
    """They are unlabelled images, not labelled ones that show nothing."""
    write_raster(tmp_path / 'scenes/a.tif', values_of(3, (32, 64)))
    ids = np.full((1, 32, 64), 255, np.uint8)
    ids[:, :8, :8] = 1
    write_raster(tmp_path / 'labels/a.tif', ids)
    arguments = (tmp_path / 'scenes', tmp_path / 'out', '--masks', tmp_path / 'labels')
    for counts in ('1 labelled and 1 unlabelled', '0 labelled and 0 unlabelled'):
        tool.call(*arguments, '--size', 32)
        assert counts in capsys.readouterr().out
    assert [path.name for path in (tmp_path / 'out/masks').iterdir()] == ['a_r000000_c000000.png']
    assert len(list((tmp_path / 'out/images').iterdir())) == 2


@pytest.mark.parametrize('corrected', ['labels/a.tif', 'out/masks/a_r000000_c000016.png'])
def test_corrected_masks_are_not_passed_over(tmp_path, tool, corrected):
    write_raster(tmp_path / 'scenes/a.tif', values_of(3))
    ids = values_of(1) % 3
    write_raster(tmp_path / 'labels/a.tif', ids)
    arguments = (tmp_path / 'scenes', tmp_path / 'out', '--masks', tmp_path / 'labels')
    tool.call(*arguments, '--size', 32)
    path = tmp_path / corrected
    if path.suffix == '.tif':
        write_raster(path, (ids + 1) % 3)
    else:
        Image.fromarray((ids[0, :, 16:] + 1) % 3).save(path)
    with pytest.raises(ValueError, match=r'png differs from .*a.tif, .* or give --keep-masks'):
        tool.call(*arguments, '--size', 32)
    before = {path: path.read_bytes() for path in (tmp_path / 'out').rglob('*.*')}
    tool.call(*arguments, '--size', 32, '--keep-masks')
    assert before == {path: path.read_bytes() for path in before}
    write_raster(tmp_path / 'scenes/a.tif', values_of(3, seed=1))
    with pytest.raises(ValueError, match=r'tif differs from .*a.tif, of which another version was'):
        tool.call(*arguments, '--size', 32, '--keep-masks')


@pytest.mark.parametrize('name', TIFFS)
def test_images_are_read_as_their_scene(tmp_path, tool, name):
    for k, place in enumerate(PLACES):
        scene, out = tmp_path / f'{k}/a.tif', tmp_path / f'out{k}'
        scene.parent.mkdir()
        write_tiff(scene, **TIFFS[name], **place)
        for _ in range(2):
            tool.call(scene.parent, out, '--size', 32, '--min-data', 0)
        whole = decode_with_nodata(scene.read_bytes(), 'a')
        for path, column in zip(sorted((out / 'images').iterdir()), (0, 16)):
            for got, expected in zip(decode_with_nodata(path.read_bytes(), 'a'), whole):
                rest = None if expected is None else expected[:, column : column + 32]
                rest = None if rest is None or got is None and not rest.any() else rest
                np.testing.assert_array_equal(got, rest)


@pytest.mark.parametrize('name', ['table', 'one_bit', 'white'])
def test_images_of_an_earlier_version(tmp_path, tool, name):
    """They hold the samples as stored: the scene has not changed, and that is not said."""
    scene, image = tmp_path / 'scenes/a.tif', tmp_path / 'out/images/a_r000000_c000000.tif'
    write_tiff(scene, **TIFFS[name])
    with rasterio.open(scene) as file:
        stored = file.read()[:, :, :32]
    write_raster(image, stored)
    with pytest.raises(ValueError, match='by an earlier version of .* anew into a new folder'):
        tool.call(scene.parent, tmp_path / 'out', '--size', 32)
    write_raster(image, stored + 1)
    with pytest.raises(ValueError, match='of which another version was cut'):
        tool.call(scene.parent, tmp_path / 'out', '--size', 32)


def test_a_mask_inside_the_scene_stays(tmp_path, tool):
    """Orthophotos have one; where it is 0 the image has no data, and the label is ignored."""
    inside = np.full((32, 48), 255, np.uint8)
    inside[:, 40:] = 0
    scene = write_raster(
        tmp_path / 'scenes/a.tif', values_of(3), photometric='YCBCR', compress='jpeg'
    )
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(scene, 'r+') as file:
        file.write_mask(inside)
    write_raster(tmp_path / 'labels/a.tif', values_of(1) % 3)
    arguments = (tmp_path / 'scenes', tmp_path / 'out', '--masks', tmp_path / 'labels')
    tool.call(*arguments, '--size', 32)
    image = tmp_path / 'out/images/a_r000000_c000016.tif'
    pixels, missing = decode_with_nodata(image.read_bytes(), 'a')
    expected = inside[:, 16:] == 0
    assert (missing == expected[..., None]).all() and (pixels[expected] == 0).all()
    label = np.array(Image.open(tmp_path / 'out/masks/a_r000000_c000016.png'))
    assert ((label == 255) == expected).all()
    whole = tmp_path / 'out/images/a_r000000_c000000.tif'
    assert decode_with_nodata(whole.read_bytes(), 'a')[1] is None
    assert sorted(path.suffix for path in image.parent.iterdir()) == ['.tif', '.tif']


def test_images_of_two_sizes_are_not_mixed(tmp_path, tool):
    """Another scene, which comes first and would be cut, is not begun."""
    write_raster(tmp_path / 'scenes/a[1].tif', values_of(3))
    tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    write_raster(tmp_path / 'scenes/0.tif', values_of(3))
    with pytest.raises(ValueError, match=r'c000000.tif has 32x32 pixels, and --size is 16'):
        tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 16)
    assert len(list((tmp_path / 'out/images').iterdir())) == 2
    tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    assert len(list((tmp_path / 'out/images').iterdir())) == 4


def test_scenes_are_checked_one_by_one(tmp_path, tool, capsys):
    """Their pixels are read, which takes long, with a line of each; sizes are checked before."""
    for name in 'ab':
        write_raster(tmp_path / f'scenes/{name}.tif', values_of(3))
    tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    capsys.readouterr()
    write_raster(tmp_path / 'scenes/b.tif', values_of(3, seed=1))
    with pytest.raises(ValueError, match=r'b.tif, of which another version was cut'):
        tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    assert capsys.readouterr().out.startswith('a.tif: 0 labelled')
    write_raster(tmp_path / 'scenes/b.tif', values_of(3, (8, 8)))
    with pytest.raises(ValueError, match='less than an image of 32'):
        tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    assert capsys.readouterr().out == ''


def test_control_points_stay(tmp_path, tool):
    """Images that are not warped to a grid have control points, and no transform."""
    points = [(0, 0, 10.0, 50.0), (0, 48, 11.0, 50.0), (32, 0, 10.0, 49.0)]
    made = [rasterio.control.GroundControlPoint(*point) for point in points]
    profile = dict(count=3, height=32, width=48, dtype='uint8', gcps=made, crs=GEOGRAPHIC)
    (tmp_path / 'scenes').mkdir()
    scene = tmp_path / 'scenes/a.tif'
    with rasterio.open(scene, 'w', driver='GTiff', **profile) as file:
        file.write(values_of(3))
    tool.call(tmp_path / 'scenes', tmp_path / 'out', '--size', 32)
    written = MapFile(tmp_path / '.map.tif', str(scene), 'uint8')
    written.create()
    finish_map(written.path, tmp_path / 'map.tif')
    for path, first in (
        (tmp_path / 'map.tif', (0, 0, 10, 50)),
        (tmp_path / 'out/images/a_r000000_c000016.tif', (0, -16, 10, 50)),
    ):
        with rasterio.open(path) as file:
            found, system = file.gcps
        assert system == GEOGRAPHIC and len(found) == 3
        assert (found[0].row, found[0].col, found[0].x, found[0].y) == first
