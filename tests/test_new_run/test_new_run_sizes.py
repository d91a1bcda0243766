# Copyright (c) mmseg_ctt contributors.
"""Networks by name, and the numbers of a run by images and memory."""

from pathlib import Path

import pytest
from leaves import CONFIGS
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.method_preset import preset_names
from mmseg_ctt.lab.new_run.images import Images, inspect
from mmseg_ctt.lab.new_run.networks import NETWORKS, USUAL, files, network
from mmseg_ctt.lab.new_run.sizes import GB, Memory, choose_sizes

BUILT = ('resnet50', 'segformer-b0')  # the small ones
BASE = 'mmseg_ctt::supervised/supervised_deeplabv3plus_mobilenetv2_folder.py'


def images(*sizes: tuple) -> Images:
    return Images(len(sizes), {'.jpg': 1}, list(sizes), {3: 1}, {'uint8': 1}, None, [], [])


def test_every_network_has_a_file():
    assert sorted([*files(), USUAL]) == sorted(NETWORKS)
    with pytest.raises(ValueError, match='known are mobilenetv2'):
        network('vgg')


@pytest.mark.parametrize('name', files())
def test_network_in_a_folder_config(name: str, tmp_path: Path):
    source = f'mmseg_ctt::_base_/networks/{name}.py'
    own = f"_base_ = ['{BASE}']\nsegmentor_from = '{source}'\nsizes = dict(num_classes=7)\n"
    (tmp_path / 'supervised.py').write_text(own)
    (tmp_path / 'a.py').write_text("_base_ = ['./supervised.py']\nmethod = 'ctt-plus'\n")
    cfg = prepare_config(Config.fromfile(tmp_path / 'a.py'))
    donor = Config.fromfile(CONFIGS / '_base_' / 'networks' / f'{name}.py')
    assert cfg.model.type == 'CrossTeacherTraining'
    assert cfg.model.segmentor.backbone == donor.model.segmentor.backbone
    assert cfg.model.segmentor.decode_head.num_classes == 7
    for key in ('optimizer', 'paramwise_cfg'):
        assert cfg.optim_wrapper[key] == donor.optim_wrapper[key]
    if name in BUILT:
        cfg.model.segmentor.backbone.pop('init_cfg')
        MODELS.build(cfg.model.segmentor)


@pytest.mark.parametrize('method', preset_names())
def test_every_method_stands_on_the_baseline(method: str, tmp_path: Path):
    (tmp_path / 'supervised.py').write_text(f"_base_ = ['{BASE}']\n")
    own = f"_base_ = ['./supervised.py']\nmethod = '{method}'\n"
    (tmp_path / 'a.py').write_text(own)
    ratio = prepare_config(Config.fromfile(tmp_path / 'a.py')).train_dataloader.sampler.ratio
    assert ratio == dict(labeled=1, unlabeled=0 if method == 'supervised' else 1)


def test_images_are_shrunk_for_a_cpu_and_for_little_memory():
    photos = images((1600, 1200), (1600, 1200))
    on_cpu = choose_sizes(photos, network('mobilenetv2'), 50, Memory('cpu', 16 * GB))
    assert on_cpu.scale == (320, 240) and on_cpu.crop == (192, 256) and on_cpu.iters == 1500
    large = choose_sizes(photos, network('mobilenetv2'), 50, Memory('gpu', 80 * GB))
    assert large.scale == (1024, 768) and large.iters == 5000
    small = choose_sizes(photos, network('resnet101'), 50, Memory('gpu', 16 * GB))
    assert small.scale[0] < 512 and small.labeled == 4
    tiny = choose_sizes(photos, network('resnet101'), 50, Memory('gpu', GB))
    assert any('may not be enough' in line for line in tiny.lines)


def test_images_are_never_enlarged_and_crops_fit_the_network():
    sizes = choose_sizes(images((200, 200)), network('dinov2-s'), 5000, Memory('gpu', 80 * GB))
    assert sizes.scale == (200, 200) and sizes.crop == (154, 154) and sizes.iters == 20000


def test_lying_and_standing_images_have_square_crops():
    both = images((640, 480), (640, 480), (480, 640))
    sizes = choose_sizes(both, network('mobilenetv2'), 9, Memory('cpu', 16 * GB))
    assert sizes.crop[0] == sizes.crop[1]


def test_size_of_the_user():
    photos = images((6000, 4000))
    given = choose_sizes(photos, network('mobilenetv2'), 9, Memory('cpu', 64 * GB), (512, 256))
    assert given.scale == (512, 256) and any('vanishes' in line for line in given.lines)
    side = choose_sizes(photos, network('mobilenetv2'), 9, Memory('cpu', 64 * GB), [600])
    assert side.scale == (600, 400)
    with pytest.raises(ValueError, match='--size'):
        choose_sizes(photos, network('mobilenetv2'), 9, Memory('cpu', 64 * GB), (1, 2, 3))


def test_geotiffs_keep_the_size_that_they_have_in_maps():
    tiles, scenes = (images(side)._replace(geo=True) for side in ((512, 512), (6000, 4000)))
    net, memory = network('mobilenetv2'), Memory('cpu', 16 * GB)
    kept = choose_sizes(tiles, net, 50, memory)
    assert kept.scale == (512, 512) and kept.crop == (256, 256)
    assert not any('WARNING' in line for line in kept.lines)
    for resized in (
        choose_sizes(scenes, net, 50, memory),
        choose_sizes(tiles, net, 9, memory, [300]),
    ):
        assert max(resized.scale) <= 320
        assert any('GeoTIFFs are resized' in line and '--tile' in line for line in resized.lines)


def test_geotiffs_of_several_sizes_are_warned_of():
    """The size in the middle alone says nothing of the others."""
    mixed = images((512, 512), (512, 512), (512, 512), (300, 512))._replace(geo=True)
    sizes = choose_sizes(mixed, network('mobilenetv2'), 50, Memory('cpu', 16 * GB))
    (line,) = (line for line in sizes.lines if 'WARNING' in line)
    assert 'GeoTIFFs of 2 sizes become 512x512' in line and 'cut_rasters.py' in line
    photos = choose_sizes(mixed._replace(geo=False), network('mobilenetv2'), 50, Memory('cpu', GB))
    assert not any('GeoTIFF' in line for line in photos.lines)


@pytest.mark.parametrize('geo', [True, False])
def test_geotiffs_are_known_from_other_tiffs(tmp_path: Path, geo: bool):
    pytest.importorskip('rasterio', reason='the extra geo is not installed')
    from toy_rasters import values_of, write_raster

    if geo:
        write_raster(tmp_path / 'a.tif', values_of(5))
    else:
        Image.fromarray(values_of().transpose(1, 2, 0)).save(tmp_path / 'a.tif')
    assert inspect(tmp_path, ['a.tif']).geo is geo


@pytest.mark.parametrize(
    'photo, name, warned', [((320, 213), 'mobilenetv2', 0), ((160, 90), 'dinov2-s', 1)]
)
def test_small_crops_are_warned_of_with_a_size_that_helps(photo, name, warned):
    def chosen(size=None):
        memory = Memory('cpu', 64 * GB)
        return choose_sizes(images(photo), network(name), 9, memory, size)

    small = [line for line in chosen().lines if 'show little of an image' in line]
    assert len(small) == warned == (min(chosen().crop) < 128)
    if warned:
        side = int(small[0].split('--size ')[1].split(',')[0].split()[0])
        enough = chosen([side])
        assert min(enough.crop) >= 128 and not any('show little' in line for line in enough.lines)
        assert ('enlarges' in small[0]) == (side > max(photo))


def test_length_of_the_user():
    memory = Memory('cpu', 16 * GB)
    sizes = choose_sizes(images((64, 64)), network('mobilenetv2'), 9, memory, None, 20)
    assert sizes.iters == 20 and sizes.val_interval == 7
    assert 'length: 20 iterations (--iterations)' in sizes.lines
    usual = choose_sizes(images((64, 64)), network('mobilenetv2'), 9, memory)
    assert any('1500 iterations (a short run for a CPU; --iter' in line for line in usual.lines)
    with pytest.raises(ValueError, match='--iterations must be 1 or more, got -2'):
        choose_sizes(images((64, 64)), network('mobilenetv2'), 9, memory, None, -2)
