# Copyright (c) mmseg_ctt contributors.
"""Predictions of folders, videos and rasters into a folder."""

import json
import tracemalloc
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from toy_data import CLASSES, PALETTE, write_image
from toy_rasters import GEOGRAPHIC, UTM, rasterio, values_of, write_raster
from toy_run import make_run, shake, small_segmentor
from toy_tiffs import PLACES, TIFFS, write_tiff

from mmseg_ctt.apis import load_model, predict
from mmseg_ctt.deploy.checkpoint import build_network
from mmseg_ctt.deploy.predicting import Options, find_items, predict_items, rasters
from mmseg_ctt.deploy.predicting import run as prediction_run
from mmseg_ctt.deploy.predicting.outputs import Outputs
from mmseg_ctt.deploy.predicting.unreadable import UnreadableVideoError
from mmseg_ctt.deploy.predicting.videos import frames_of, missing_frames
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.rasters import reading

SEED = 5  # of weights that predict several classes


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return make_run(tmp_path_factory.mktemp('run'), model=small_segmentor())


def of_bands(run, bands, **loading):
    """The run for images of other bands: its first layer gets weights of that many."""
    cfg = Config(run.cfg.to_dict())
    cfg.model.backbone.in_channels = bands
    cfg.model.data_preprocessor.update(mean=[110.0] * bands, std=[60.0] * bands)
    cfg.image_loading = dict(color_type='unchanged', **loading)
    cfg = prepare_config(cfg)
    torch.manual_seed(SEED)
    state = shake(build_network(cfg.model), SEED).state_dict()
    meta = dict(dataset_meta=dict(classes=CLASSES, palette=PALETTE))
    path = run.checkpoint.with_name(f'bands{bands}.pth')
    torch.save(dict(meta=meta, state_dict=state), path)
    return SimpleNamespace(cfg=cfg, checkpoint=path)


def call(run, given, out, cfg=None, report=None, **options):
    lines = []
    items = find_items(given, tiled='tile' in options)
    cfg = cfg or prepare_config(Config(run.cfg.to_dict()))
    predict_items(
        cfg, run.checkpoint, items, out, Options(**options), report=report or lines.append
    )
    return lines


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_a_folder(run, tmp_path):
    for seed, name in enumerate(('a.jpg', 'day/b.png', 'day/c.jpg')):
        write_image(tmp_path / 'in' / name, seed)
    out = tmp_path / 'out'
    lines = call(run, tmp_path / 'in', out, overlays=True, probabilities=True, batch_size=2)
    stems = ('a', 'day/b', 'day/c')
    kinds = (('labels', 'png'), ('overlays', 'png'), ('probabilities', 'npy'))
    expected = {f'{kind}/{stem}.{end}' for kind, end in kinds for stem in stems}
    assert set(names_in(out)) == expected | {'prediction.json'} and len(lines) == 3
    result = predict(load_model(run.config, run.checkpoint), tmp_path / 'in' / 'day' / 'c.jpg')
    labels = Image.open(out / 'labels/day/c.png')
    assert (np.array(labels) == result.labels).all() and labels.mode == 'P'
    assert (np.array(Image.open(out / 'overlays/day/c.png')) == result.overlay()).all()
    probability = np.load(out / 'probabilities/day/c.npy')
    assert probability.dtype == np.float16 and probability.shape == (4, 32, 48)
    np.testing.assert_allclose(probability.max(0), result.confidence, atol=1e-3)


def test_nothing_is_overwritten_and_a_stopped_run_goes_on(run, tmp_path):
    for seed in range(3):
        write_image(tmp_path / 'in' / f'{seed}.jpg', seed)
    out = tmp_path / 'out'
    call(run, tmp_path / 'in', out)
    (out / 'labels' / '1.png').unlink()
    before = (out / 'labels' / '0.png').stat().st_mtime_ns
    first, second = call(run, tmp_path / 'in', out)
    assert '2 of 3 inputs are finished' in first and second.startswith('1/1')
    assert (out / 'labels' / '0.png').stat().st_mtime_ns == before
    with pytest.raises(ValueError, match='another overlays: give another --out, or --overwrite'):
        call(run, tmp_path / 'in', out, overlays=True)
    assert len(call(run, tmp_path / 'in', out, overlays=True, overwrite=True)) == 3
    foreign = tmp_path / 'foreign' / 'overlays'
    write_image(foreign / '1.png', 0)
    with pytest.raises(ValueError, match=r'overlays/1.png exists, and prediction.json does not'):
        call(run, tmp_path / 'in', foreign.parent, overlays=True)
    assert names_in(foreign.parent) == ['overlays/1.png']


@pytest.mark.parametrize(
    'name, error, words',
    [
        ('absent', FileNotFoundError, 'does not exist'),
        ('empty', FileNotFoundError, 'no image or video was found'),
        ('case.nii', ValueError, 'volumes are for tools/volumes/predict_volume.py'),
        ('broken.mp4', ValueError, 'broken.mp4 cannot be read.*ffmpeg -i INPUT'),
        ('broken.jpg', ValueError, '^cannot decode image .*broken.jpg'),
        ('broken.tif', ValueError, '^cannot decode image .*broken.tif'),
    ],
)
def test_bad_inputs_write_nothing(run, tmp_path, name, error, words):
    (tmp_path / 'empty').mkdir()
    for file in ('case.nii', 'broken.mp4', 'broken.jpg', 'broken.tif'):
        (tmp_path / file).write_bytes(b'nothing of this kind')
    with pytest.raises(error, match=words):
        call(run, tmp_path / name, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_bad_tiles(run, tmp_path):
    write_image(tmp_path / 'a.jpg', 0)
    for settings in (dict(tile=(0, 8)), dict(tile=(8, 8), overlap=5), dict(overlap=-1)):
        with pytest.raises(ValueError, match='at most half a tile'):
            call(run, tmp_path / 'a.jpg', tmp_path / 'out', **settings)
    with pytest.raises(ValueError, match='batch_size must be positive'):
        call(run, tmp_path / 'a.jpg', tmp_path / 'out', batch_size=0)
    with pytest.raises(ValueError, match=r'overlap=8 .*read in tiles, and none of the inputs'):
        call(run, tmp_path / 'a.jpg', tmp_path / 'out', overlap=8)
    with pytest.raises(ValueError, match=r'a.jpg is a file: give another folder'):
        call(run, tmp_path / 'a.jpg', tmp_path / 'a.jpg')
    assert names_in(tmp_path) == ['a.jpg']


# ---- videos


def write_film(path, frames=5):
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 12.5, (48, 32))
    for seed in range(frames):
        blocks = np.random.RandomState(seed).randint(0, 256, (4, 6, 3)).astype(np.uint8)
        writer.write(blocks.repeat(8, 0).repeat(8, 1))
    writer.release()
    return path


@pytest.fixture
def film(tmp_path):
    return write_film(tmp_path / 'films' / 'film.avi')


def test_a_video(run, tmp_path, film):
    out = tmp_path / 'out'
    (line,) = call(run, film, out, batch_size=2)
    assert '5 frames, masks in' in line
    assert names_in(out / 'labels') == [f'film/{i:06d}.png' for i in range(5)]
    made = cv2.VideoCapture(str(out / 'overlays/film.mp4'))
    assert made.get(cv2.CAP_PROP_FPS) == 12.5 and made.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    read = cv2.VideoCapture(str(film))
    _, frame = read.read()
    result = predict(load_model(run.config, run.checkpoint), frame, channel_order='bgr')
    assert (np.array(Image.open(out / 'labels/film/000000.png')) == result.labels).all()
    shown = made.read()[1][..., ::-1].astype(int)
    assert np.abs(shown - result.overlay()).mean() < 20  # after a lossy codec
    with pytest.raises(ValueError, match='probabilities are not written of videos'):
        call(run, film, tmp_path / 'other', probabilities=True)
    with pytest.raises(ValueError, match=r'tile=\(16, 16\) .* not for videos. Leave it out'):
        call(run, film, tmp_path / 'other', tile=(16, 16))
    write_image(film.parent / 'a.png', 0)
    (line, *_) = call(run, film.parent, tmp_path / 'other', tile=(16, 16))
    assert line == 'frames of videos are predicted whole: --tile is for images'


def test_a_stopped_video_goes_on(run, tmp_path, film, monkeypatch):
    out, predicted = tmp_path / 'out', []
    samples = prediction_run.Network.samples

    def stops(self, batch):
        predicted.extend(given.name for given in batch)
        if len(predicted) == 4:  # the first is a trial before anything is written
            raise KeyboardInterrupt
        return samples(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(prediction_run.Network, 'samples', stops)
        with pytest.raises(KeyboardInterrupt):
            call(run, film, out)
    assert names_in(out / 'labels') == ['film/000000.png', 'film/000001.png']
    assert not (out / 'overlays').exists()
    before = (out / 'labels/film/000001.png').stat().st_mtime_ns
    call(run, film, out)
    assert len(names_in(out / 'labels')) == 5 and (out / 'overlays/film.mp4').is_file()
    assert (out / 'labels/film/000001.png').stat().st_mtime_ns == before


def test_a_video_that_is_cut_off(run, tmp_path):
    """Its masks stay, and a warning has both numbers: the header of an intact one may be wrong."""
    film, out = write_film(tmp_path / 'films' / 'film.avi', 40), tmp_path / 'out'
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    lines = call(run, film.parent, out)
    number = len(list((out / 'labels/film').iterdir()))
    assert 10 < number < 20 and f'{number} frames' in lines[-2]
    assert f'film.avi ends after {number} of the 40 frames of its header' in lines[-1]
    film.write_bytes(whole)
    assert not [line for line in call(run, film.parent, tmp_path / 'new') if 'WARNING' in line]


class Capture:
    """In the place of OpenCV's: 10 frames by the header, of which the first are there."""

    present, broken, rate = 10, None, 25.0

    def __init__(self, path):
        self.number = -1

    def grab(self):
        self.number += 1
        return self.number < self.present

    def retrieve(self):
        return self.number != self.broken, np.zeros((2, 2, 3), np.uint8)

    def get(self, name):
        return {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FRAME_COUNT: 10}[name]

    def release(self):
        pass

    def isOpened(self):  # noqa: N802, of OpenCV
        return True

    def read(self):
        return self.grab(), np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    'facts, number, words',
    [
        (dict(), 10, None),
        (dict(present=8), 8, None),
        (dict(present=7), 7, 'x.mp4 ends after 7 of the 10 frames'),
        (dict(present=7, rate=1e6), 7, None),  # the number of frames is made of the rate
    ],
)
def test_frames_that_are_not_there(monkeypatch, facts, number, words):
    monkeypatch.setattr(cv2, 'VideoCapture', type('Made', (Capture,), facts))
    assert len(list(frames_of('x.mp4'))) == number
    line = missing_frames('x.mp4', number)
    assert words in line if words else line is None


def test_a_frame_that_cannot_be_decoded(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', type('Made', (Capture,), dict(broken=4)))
    with pytest.raises(UnreadableVideoError, match='frame 4 of the video x.mp4 cannot be decoded'):
        list(frames_of('x.mp4'))


# ---- rasters


@pytest.mark.parametrize('crs', [UTM, GEOGRAPHIC])
@pytest.mark.parametrize('bands, dtype', [(3, 'uint8'), (5, 'uint16')])
def test_a_map_has_the_georeference_of_its_raster(run, tmp_path, crs, bands, dtype):
    values = values_of(bands, (40, 56), dtype)
    values[:, :9, :16] = 0
    path = write_raster(tmp_path / 'in' / 'scene.tif', values, crs, nodata=0)
    used = run if bands == 3 else of_bands(run, bands, value_range=(0, 4000))
    out = tmp_path / 'out'
    call(
        used, path, out, getattr(used, 'cfg', None) if bands != 3 else None,
        tile=(32, 32), overlap=8, overlays=True, probabilities=True,
    )  # fmt: skip
    with rasterio.open(path) as source, rasterio.open(out / 'labels/scene.tif') as made:
        assert (made.crs, made.transform, made.shape) == (source.crs, source.transform, (40, 56))
        assert made.nodata == 255 and made.dtypes == ('uint8',) and made.profile['tiled']
        labels = made.read(1)
        assert [list(made.colormap(1)[k][:3]) for k in range(4)] == PALETTE
    assert (labels[:9, :16] == 255).all() and (labels == 255).sum() == 9 * 16
    assert len(np.unique(labels)) > 2
    with rasterio.open(out / 'probabilities/scene.tif') as made:
        probability = made.read()
        assert made.descriptions == CLASSES and np.isnan(made.nodata)
    assert np.isnan(probability[:, :9, :16]).all()
    kept = labels != 255
    assert (probability.argmax(0)[kept] == labels[kept]).all()
    with rasterio.open(out / 'overlays/scene.tif') as made:
        assert made.count == 3 and made.crs == source.crs and (made.read()[:, :9, :16] == 0).all()
    assert not [name for name in names_in(out) if 'part' in name]


def test_a_raster_of_a_tile_is_predicted_as_an_image(run, tmp_path):
    values = values_of(3)
    path = write_raster(tmp_path / 'a.tif', values)
    call(run, path, tmp_path / 'out')
    expected = predict(load_model(run.config, run.checkpoint), values.transpose(1, 2, 0)).labels
    with rasterio.open(tmp_path / 'out/labels/a.tif') as made:
        assert (made.read(1) == expected).all()


@pytest.mark.parametrize('kind', ['table', 'white_mask'])
def test_a_map_is_made_of_the_colours_of_a_viewer(run, tmp_path, kind):
    """As the image is, which training reads: not of indices, which are nearly black."""
    write_tiff(tmp_path / 'a.tif', **TIFFS[kind], **PLACES[1])
    call(run, tmp_path / 'a.tif', tmp_path / 'out')
    expected = predict(load_model(run.config, run.checkpoint), tmp_path / 'a.tif').labels
    with rasterio.open(tmp_path / 'out/labels/a.tif') as made:
        kept = made.read(1) != 255
        assert (made.read(1) == expected)[kept].all() and kept.any()


def test_other_images_by_tiles(run, tmp_path):
    write_image(tmp_path / 'a.png', 0, (64, 64))
    call(run, tmp_path / 'a.png', tmp_path / 'out', tile=(32, 32))
    with rasterio.open(tmp_path / 'out/labels/a.tif') as made:
        assert made.shape == (64, 64) and made.crs is None


def test_the_size_that_the_pipeline_resizes_to_is_that_of_tiles(run, tmp_path):
    cfg = Config(run.cfg.to_dict())
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='Resize', scale=(48, 40)))
    cfg = prepare_config(cfg)
    values = values_of(3, (24, 100))  # lower than a tile: padded, never stretched
    path = write_raster(tmp_path / 'a.tif', values)
    assert len(call(run, path, tmp_path / 'out', cfg)) == 1
    assert json.loads((tmp_path / 'out/prediction.json').read_text())['settings']['tile'] == [
        40,
        48,
    ]
    with rasterio.open(tmp_path / 'out/labels/a.tif') as made:
        assert made.shape == (24, 100)
    line, _ = call(run, path, tmp_path / 'other', cfg, tile=(20, 24))
    assert 'resizes tiles of 20x24 pixels to fit 40x48' in line


def test_a_stopped_raster_goes_on(run, tmp_path, monkeypatch):
    values = values_of(3, (100, 70))
    path, out = write_raster(tmp_path / 'a.tif', values), tmp_path / 'out'
    settings = dict(tile=(32, 32), overlap=8)
    call(run, path, tmp_path / 'whole', **settings)
    logits, count = prediction_run.Network.logits, []

    def stops(self, batch):
        count.append(1)
        if len(count) == 9:
            raise KeyboardInterrupt
        return logits(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(prediction_run.Network, 'logits', stops)
        with pytest.raises(KeyboardInterrupt):
            call(run, path, out, **settings)
    assert not (out / 'labels/a.tif').exists() and (out / 'labels/.a.part.json').is_file()
    count.clear()

    def counts(self, batch):
        count.append(1)
        return logits(self, batch)

    monkeypatch.setattr(prediction_run.Network, 'logits', counts)
    call(run, path, out, **settings)
    assert len(count) == 1 + 9  # a trial, and three of four rows: one again for its overlap
    with rasterio.open(out / 'labels/a.tif') as made:
        with rasterio.open(tmp_path / 'whole/labels/a.tif') as whole:
            assert (made.read() == whole.read()).all()
    assert names_in(out) == ['labels/a.tif', 'prediction.json']


def test_memory_does_not_grow_with_the_raster(tmp_path, monkeypatch):
    """Windows are those of a tile and a stripe, and the peak of numpy's memory is the same."""

    class Constant:
        classes, palette, channels, dtype, no_data = CLASSES, PALETTE, 4, 'uint8', 255
        loader = SimpleNamespace(nodata=None, value_range=None)
        prepared = staticmethod(lambda given: None)
        labels = staticmethod(lambda logits: logits.argmax(0))

        def logits(self, batch):
            return [np.ones((4, *given.pixels.shape[:2]), np.float32) for given in batch]

    windows, read = [], reading.read_window

    def noted(dataset, window=None, size=None):
        windows.append((window.height, window.width))
        return read(dataset, window)

    monkeypatch.setattr('mmseg_ctt.datasets.windows.read_window', noted)
    peaks = []
    for side in (128, 128, 640):  # the first call imports
        path = write_raster(tmp_path / f'{side}.tif', values_of(3, (side, side)), tiled=True,
                            blockxsize=64, blockysize=64)  # fmt: skip
        items = find_items(path)
        off = dict(overlays=False, probabilities=False)
        outputs = Outputs(tmp_path / f'out{side}{len(peaks)}', off, items)
        settings = rasters.TileSettings((64, 64), 16, memory=1)
        tracemalloc.start()
        rasters.predict_raster(Constant(), items[0], outputs, settings)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        with rasterio.open(outputs.labels_of(items[0])) as made:
            assert (made.read() == 0).all() and made.shape == (side, side)
    assert set(windows) == {(64, 64)}
    assert peaks[2] < 1.3 * peaks[1]


def test_the_tool(run, tmp_path, load_tool, capsys):
    write_image(tmp_path / 'in' / 'a.jpg', 0)
    tool = load_tool('predict')
    tool.call(run.config, run.checkpoint, tmp_path / 'in', '--out', tmp_path / 'out',
              '--device', 'cpu')  # fmt: skip
    assert '1/1 ' in capsys.readouterr().out and (tmp_path / 'out/labels/a.png').is_file()
    with pytest.raises(ValueError, match='would be inside the input folder'):
        tool.call(run.config, run.checkpoint, tmp_path / 'in', '--out', tmp_path / 'in' / 'out')
    with pytest.raises(ValueError, match='the folder of the input .*a.jpg'):
        tool.call(run.config, run.checkpoint, tmp_path / 'in/a.jpg', '--out', tmp_path / 'in')
