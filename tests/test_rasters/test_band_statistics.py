# Copyright (c) mmseg_ctt contributors.
"""Mean, std and range of the bands of images."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from toy import of_channels, toy_segmentor
from toy_data import toy_config, toy_method, write_toy_data
from toy_rasters import values_of, write_raster

from mmseg_ctt.lab.new_run.images import inspect
from mmseg_ctt.rasters import band_statistics


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/label_statistics')


def test_sums_are_those_of_all_pixels_with_data():
    images = [values_of(5, (32, 24), 'float32', seed).transpose(1, 2, 0) for seed in range(3)]
    missing = [np.random.RandomState(seed).rand(32, 24, 5) < 0.3 for seed in range(3)]
    found = band_statistics(zip('abc', images, [missing[0], None, missing[2]]))
    missing[1] = np.zeros_like(missing[1])
    for band in range(5):
        kept = np.concatenate([i[..., band][~m[..., band]] for i, m in zip(images, missing)])
        kept = kept.astype(np.float64)
        expected = (kept.mean(), kept.std(), kept.min(), kept.max(), 1 - kept.size / (3 * 768))
        got = [values[band] for values in (found.mean, found.std, found.low, found.high)]
        assert [*got, found.missing[band]] == pytest.approx(expected, rel=1e-9)
        assert found.quantiles[:, band] == pytest.approx(np.percentile(kept, [2, 98]))
    with pytest.raises(ValueError, match='b has 1 bands, the images before it 5'):
        band_statistics([('a', images[0], None), ('b', images[0][..., 0], None)])
    with pytest.raises(ValueError, match='band 1 has no data'):
        band_statistics([('a', images[0], np.ones_like(missing[0]))])
    with pytest.raises(ValueError, match='no image'):
        band_statistics([])


def test_a_folder(tmp_path, tool, capsys):
    values = values_of(13, dtype='uint16')
    values[:, :4] = 0
    write_raster(tmp_path / 'images/a.tif', values, nodata=0)
    tool.call(tmp_path, '--images', '--json', tmp_path / 's.json')
    made = json.loads((tmp_path / 's.json').read_text())
    assert made['mean'] == pytest.approx(values[:, 4:].mean((1, 2)).tolist())
    assert made['missing'] == [pytest.approx(4 / 32)] * 13
    printed = capsys.readouterr().out
    assert '| 13 |' in printed and 'image_loading = dict(value_range=(' in printed
    Image.fromarray(np.full((8, 8, 3), (10, 20, 30), np.uint8)).save(tmp_path / 'images/b.png')
    (tmp_path / 'images/a.tif').unlink()
    tool.call(tmp_path / 'images', '--images')
    assert 'mean=[10, 20, 30], std=[0, 0, 0]' in capsys.readouterr().out
    with pytest.raises(ValueError, match='band 2 has no data'):
        tool.call(tmp_path / 'images', '--images', '--nodata', 20)


@pytest.mark.parametrize('which', [None, 'labeled', 'test'])
def test_a_config(tmp_path, tool, capsys, which):
    """Values as the network gets them: red first where the preprocessor turns them."""
    root = write_toy_data(tmp_path / 'data')
    cfg = toy_config(root, tmp_path / 'work')
    cfg.dump(tmp_path / 'c.py')
    tool.call(tmp_path / 'c.py', '--images', *([] if which is None else ['--set', which]))
    printed = capsys.readouterr().out
    stems = ('l0', 'l1', 'l2') + (('u0', 'u1', 'u2') if which is None else ())
    images = np.stack([np.array(Image.open(root / 'img' / f'{stem}.jpg')) for stem in stems])
    mean = ', '.join(f'{value:.5g}' for value in images.reshape(-1, 3).mean(0))
    std = ', '.join(f'{value:.5g}' for value in images.reshape(-1, 3).std(0))
    assert f'data_preprocessor=dict(mean=[{mean}], std=[{std}])' in printed
    assert f'{len(stems)} images' in printed


def test_a_config_of_five_bands(tmp_path, tool, capsys):
    root = write_toy_data(tmp_path / 'data')
    for seed, stem in enumerate(('l0', 'l1', 'l2', 'u0', 'u1', 'u2')):
        (root / 'img' / f'{stem}.jpg').unlink()
        values = values_of(5, dtype='uint16', seed=seed)
        write_raster(root / 'img' / f'{stem}.tif', values, nodata=9999)
    segmentor = of_channels(toy_segmentor(), 5)
    cfg = toy_config(root, tmp_path / 'work', model=toy_method('FixMatchSeg', segmentor=segmentor))
    cfg.image_loading = dict(color_type='unchanged', value_range=(0, 4000))
    Config(cfg.to_dict()).dump(tmp_path / 'c.py')
    tool.call(tmp_path / 'c.py', '--images')
    mean = [
        np.mean([values_of(5, dtype='uint16', seed=seed)[k] for seed in range(6)]) * 255 / 4000
        for k in range(5)
    ]
    assert f'mean=[{", ".join(f"{value:.5g}" for value in mean)}]' in capsys.readouterr().out
    with pytest.raises(ValueError, match='set image_loading.nodata in the config'):
        tool.call(tmp_path / 'c.py', '--images', '--nodata', 0)
    with pytest.raises(ValueError, match='--nodata is for --images'):
        tool.call(root, '--nodata', 0)


def test_new_run_leaves_out_pixels_without_data(tmp_path):
    values = values_of(5, dtype='uint16') + 1000
    for name in ('whole', 'part'):
        write_raster(tmp_path / f'{name}/a.tif', values[:, :, 24:] if name == 'whole' else values)
    holed = values.copy()
    holed[:, :, :24] = 0
    write_raster(tmp_path / 'part/a.tif', holed, nodata=0)
    whole, part = (inspect(tmp_path / name, ['a.tif']) for name in ('whole', 'part'))
    assert part.value_range == whole.value_range and part.value_range[0] > 1000
    assert part.mean == whole.mean and part.std == whole.std
