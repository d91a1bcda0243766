# Copyright (c) mmseg_ctt contributors.
import io

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model
from PIL import Image
from toy_data import CLASSES, HEIGHT, LABELED, PALETTE, UNLABELED, WIDTH, write_image
from toy_run import MEMBERS, make_run, small_ctt, small_segmentor

from mmseg_ctt.deploy.api import load_model, predict, predict_iter
from mmseg_ctt.deploy.export import export_member, read_checkpoint, write_export


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmseg'):
        return make_run(tmp_path_factory.mktemp('run'))


@pytest.fixture(scope='module')
def images(run):
    return run.config.parent / 'data' / 'img'


@pytest.fixture(scope='module')
def model(run):
    return load_model(run.config, run.checkpoint)


def mmseg_config(path):
    """With the pipeline at the place where mmseg's ``inference_model`` looks for it."""
    cfg = Config.fromfile(path)
    cfg.test_pipeline = [
        step
        for step in cfg.test_dataloader.dataset.pipeline
        if step.type in ('LoadImageFromFile', 'PackSegInputs')
    ]
    return cfg


def whole_model(run, member):
    """The run as mmseg itself loads it, all networks included."""
    return init_model(
        mmseg_config(run.config),
        str(run.checkpoint),
        'cpu',
        cfg_options={'model.test_cfg': dict(predict_on=member)},
    )


@pytest.mark.parametrize('member', [*MEMBERS, 'ensemble'])
def test_every_member_predicts_as_in_the_run(run, images, member):
    path = str(images / f'{LABELED[0]}.jpg')
    expected = inference_model(whole_model(run, member), path)
    model = load_model(run.config, run.checkpoint, member)
    assert model.member_name == member and not model.training
    result = predict(model, path)
    np.testing.assert_array_equal(result.labels, expected.pred_sem_seg.data[0].numpy())
    probability = expected.seg_logits.data.softmax(0).amax(0).numpy()
    np.testing.assert_allclose(result.confidence, probability, atol=1e-6)
    assert result.labels.dtype == np.uint8 and result.confidence.dtype == np.float32
    assert result.labels.shape == result.confidence.shape == (HEIGHT, WIDTH)
    assert len(np.unique(result.labels)) > 1
    assert 1 / len(CLASSES) <= result.confidence.min() < result.confidence.max() <= 1


def test_default_member_and_weight_average(run):
    assert load_model(run.config, run.checkpoint).member_name == 'teacher0'
    cfg = Config.fromfile(run.config)
    cfg.model.test_cfg = dict(predict_on='ensemble')
    ensemble = load_model(cfg, run.checkpoint)
    assert ensemble.member_name == 'ensemble' and len(ensemble.teachers) == 2
    assert len(ensemble.students) == 0 and ensemble.contrast is None
    mean = load_model(run.config, run.checkpoint, 'mean-student').state_dict()
    key = 'backbone.bn1.running_var'
    expected = (run.state_dict[f'students.0.{key}'] + run.state_dict[f'students.1.{key}']) / 2
    torch.testing.assert_close(mean[key], expected)


def test_ensemble_without_teachers(tmp_path):
    run = make_run(tmp_path, model=small_ctt(supervision='mutual'))
    model = load_model(run.config, run.checkpoint, 'ensemble')
    assert len(model.students) == 2
    assert predict(model, np.zeros((32, 48, 3), np.uint8)).labels.shape == (32, 48)


@pytest.mark.parametrize('exported', [True, False])
def test_plain_models(tmp_path, images, model, run, exported):
    """An exported member, and a supervised baseline of this package."""
    if exported:
        files = write_export(
            export_member(run.cfg, read_checkpoint(run.checkpoint)), tmp_path, 'plain'
        )
        expected = predict(model, images / 'l1.jpg').labels
    else:
        run = make_run(tmp_path, model=small_segmentor())
        files = run.config, run.checkpoint
        plain = init_model(mmseg_config(run.config), str(run.checkpoint), 'cpu')
        expected = inference_model(plain, str(images / 'l1.jpg')).pred_sem_seg.data[0]
    loaded = load_model(*files)
    assert loaded.member_name is None and loaded.dataset_meta['classes'] == CLASSES
    np.testing.assert_array_equal(predict(loaded, images / 'l1.jpg').labels, expected)
    with pytest.raises(ValueError, match='plain segmentor'):
        load_model(*files, member='student0')


def test_result_shows_itself(model, images):
    result = predict(model, images / f'{LABELED[0]}.jpg')
    shown = Image.open(io.BytesIO(result._repr_png_()))
    np.testing.assert_array_equal(np.array(shown), result.overlay())
    html = result._repr_html_()
    assert html.count('data:image/png;base64,') == 1
    for name, ratio in result.class_fractions().items():
        colour = PALETTE[CLASSES.index(name)]
        assert f'rgb({",".join(map(str, colour))})' in html and f'{name} {ratio:.1%}' in html
    assert repr(result).startswith(f'SegResult(l0, {WIDTH}x{HEIGHT}: class')


def test_kinds_of_input_agree(model, images):
    path = images / f'{LABELED[0]}.jpg'
    expected = predict(model, path).labels
    bgr = cv2.imread(str(path))
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    assert (predict(model, bgr).labels != expected).any(), 'the order of channels matters'
    for given in (str(path), rgb, Image.fromarray(rgb)):
        np.testing.assert_array_equal(predict(model, given).labels, expected)
    np.testing.assert_array_equal(predict(model, bgr, channel_order='bgr').labels, expected)
    several = predict(model, [path, rgb], batch_size=2)
    assert [one.name for one in several] == ['l0', '000001']
    assert all((one.labels == expected).all() for one in several)
    assert (several[1].image == rgb).all()
    grey = rgb[..., 0]
    np.testing.assert_array_equal(
        predict(model, grey).labels, predict(model, np.stack([grey] * 3, 2)).labels
    )
    assert predict(model, []) == []


@pytest.mark.parametrize('batch_size', [1, 4])
def test_folder(model, images, tmp_path, batch_size, capfd):
    """Images of unlike sizes in sub-folders, in the order of their names."""
    for path in images.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_image(tmp_path / 'below' / 'x.PNG', 3, size=(64, 40))
    write_image(tmp_path / 'm.png', 4, size=(40, 56))
    (tmp_path / 'notes.txt').write_text('no image')
    results = predict(model, tmp_path, batch_size=batch_size)
    assert [one.name for one in results] == ['below/x', *LABELED, 'm', *UNLABELED]
    assert results[0].labels.shape == (64, 40) and results[4].labels.shape == (40, 56)
    for one in results:
        alone = predict(model, one.source.path)
        np.testing.assert_array_equal(one.labels, alone.labels)
    assert '8/8' in capfd.readouterr().err
    predict(model, tmp_path, progress=False)
    predict(model, images / 'l0.jpg')
    assert capfd.readouterr().err == ''


def test_results_one_at_a_time(model, images):
    results = predict_iter(model, images, progress=False)
    assert next(results).name == 'l0' and next(results).name == 'l1'


def test_pictures(model, images, tmp_path):
    result = predict(model, images / 'l0.jpg')
    image = np.array(Image.open(images / 'l0.jpg'))
    assert abs(result.image.astype(int) - image).max() <= 2  # two JPEG decoders
    colours = np.array(PALETTE, np.uint8)[result.labels]
    overlay = result.overlay()
    assert overlay.dtype == np.uint8
    np.testing.assert_allclose(overlay, (result.image.astype(float) + colours) / 2, atol=0.51)
    assert (result.overlay(1.0) == colours).all() and (result.overlay(0) == result.image).all()
    middle = float(np.median(result.confidence))
    sure = result.overlay(1.0, min_confidence=middle)
    unsure = result.confidence < middle
    assert (sure[unsure] == result.image[unsure]).all()
    assert (sure[~unsure] == colours[~unsure]).all() and unsure.any()
    assert sum(result.class_fractions().values()) == pytest.approx(1)
    assert list(result.share())[0] == CLASSES[np.bincount(result.labels.ravel()).argmax()]

    assert result.save(tmp_path / 'new') == tmp_path / 'new' / 'l0.png'
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / 'new' / 'l0.png')), overlay)
    labels = Image.open(result.save(tmp_path / 'labels.png', 'labels'))
    np.testing.assert_array_equal(np.array(labels), result.labels)
    np.testing.assert_array_equal(np.array(labels.convert('RGB')), colours)
    grey = np.array(Image.open(result.save(tmp_path / 'c.png', 'confidence')))
    np.testing.assert_allclose(grey / 255, result.confidence, atol=0.002)
    assert result.save(tmp_path / 'x.jpg').is_file()


def test_sigmoid_head(tmp_path):
    """A head with one output: its confidence is that of the class it says."""
    segmentor = small_segmentor()
    segmentor['decode_head'].update(num_classes=2, out_channels=1, threshold=0.3)
    run = make_run(tmp_path, model=segmentor)
    model = load_model(run.config, run.checkpoint)
    image = np.random.RandomState(0).randint(0, 256, (32, 48, 3)).astype(np.uint8)
    result = predict(model, image)
    sample = inference_model(model, np.ascontiguousarray(image[..., ::-1]))
    foreground = sample.seg_logits.data[0].numpy()  # mmseg has taken the sigmoid
    np.testing.assert_array_equal(result.labels, foreground > 0.3)
    np.testing.assert_allclose(
        result.confidence, np.where(result.labels, foreground, 1 - foreground), atol=1e-6
    )


def test_unknown_classes_are_numbered(tmp_path):
    run = make_run(tmp_path)
    torch.save(dict(state_dict=run.state_dict), tmp_path / 'bare.pth')
    model = load_model(run.config, tmp_path / 'bare.pth')
    assert model.dataset_meta['classes'] == ('class 0', 'class 1', 'class 2', 'class 3')
    assert len(model.dataset_meta['palette']) == 4


@pytest.mark.parametrize(
    'given, error, words',
    [
        ('absent.jpg', FileNotFoundError, 'the image absent.jpg does not exist'),
        (7, TypeError, 'not int'),
        (np.zeros((4, 4, 3)), ValueError, 'image 000000 is not of 8 bit: it holds float64'),
        (np.zeros((4, 4, 3), bool), ValueError, 'image 000000 holds bool: give uint8'),
        (np.zeros((2, 4, 4, 3), np.uint8), ValueError, 'as a list'),
        (np.zeros((4, 4, 5), np.uint8), ValueError, 'image 000000 has 5 channels'),
    ],
)
def test_bad_input(model, given, error, words):
    with pytest.raises(error, match=words):
        predict(model, given)


def test_bad_files(model, tmp_path):
    with pytest.raises(FileNotFoundError, match='no image was found'):
        predict(model, tmp_path)
    (tmp_path / 'x.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='cannot decode image .*x.jpg'):
        predict(model, tmp_path, progress=False)


def test_bad_settings(model, images, tmp_path):
    image = images / 'l0.jpg'
    for change, words in (
        (dict(batch_size=0), 'batch_size'),
        (dict(channel_order='rbg'), 'channel_order'),
    ):
        with pytest.raises(ValueError, match=words):
            predict(model, image, **change)
    result = predict(model, image)
    with pytest.raises(ValueError, match='PNG only'):
        result.save(tmp_path / 'x.jpg', 'labels')
    with pytest.raises(ValueError, match='kind must be one of'):
        result.save(tmp_path / 'x.png', 'label')
    with pytest.raises(ValueError, match='alpha'):
        result.overlay(50)


@pytest.mark.parametrize(
    'change, error, words',
    [
        (dict(config='absent.py'), FileNotFoundError, 'the config absent.py'),
        (dict(config=dict(model=1)), ValueError, 'load_model needs'),
        (dict(checkpoint='absent.pth'), FileNotFoundError, 'the checkpoint absent.pth'),
        (dict(member='teacher7'), ValueError, 'no member .teacher7'),
        (dict(device='cuda:99'), ValueError, 'device=cuda:99 cannot be used'),
        (dict(device='toaster'), ValueError, 'device=toaster cannot be used'),
    ],
)
def test_bad_model(run, change, error, words):
    with pytest.raises(error, match=words):
        load_model(**{**dict(config=run.config, checkpoint=run.checkpoint), **change})


def test_no_picture_of_a_folder_replaces_another(run, tmp_path):
    """Equal names in sub-folders, lists of files and pixels, single calls, several kinds."""
    model, out = load_model(run.config, run.checkpoint), tmp_path / 'out'
    files = [tmp_path / 'photos' / day / '0.png' for day in ('day0', 'day1')]
    for seed, file in enumerate(files):
        write_image(file, seed)
    pixels = np.zeros((32, 32, 3), np.uint8)
    given = [*files, pixels, pixels]
    saved = [result.save(out / 'list') for result in predict(model, given, progress=False)]
    names = [path.relative_to(out / 'list').as_posix() for path in saved]
    assert names == ['day0/0.png', 'day1/0.png', '000002.png', '000003.png']
    for file in files:
        predict(model, file).save(out / 'single')
    for _ in range(3):
        predict(model, pixels).save(out / 'single')
    result = predict(model, files[0])
    assert result.save(out / 'single') == out / 'single' / '0.png', 'the same picture again'
    assert result.save(out / 'single', 'labels') == out / 'single' / '0_labels.png'
    single = sorted(path.name for path in (out / 'single').iterdir())
    assert len(single) == 6 and {'0.png', '000000.png', '0_labels.png'} < set(single)


def test_config_of_another_run(run):
    cfg = Config.fromfile(run.config)
    cfg.model.segmentor.decode_head.channels = 4
    for member in ('student0', 'ensemble'):
        with pytest.raises(ValueError, match='do not belong together'):
            load_model(cfg, run.checkpoint, member)


def test_model_without_a_pipeline(run):
    cfg = Config.fromfile(run.config)
    cfg.pop('test_dataloader'), cfg.pop('val_dataloader')
    with pytest.raises(ValueError, match='no test_dataloader'):
        predict(load_model(cfg, run.checkpoint), np.zeros((8, 8, 3), np.uint8))
