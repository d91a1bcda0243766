# Copyright (c) mmseg_ctt contributors.
import io
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from PIL import Image
from toy import toy_segmentor
from toy_data import toy_ctt
from toy_volume_run import make_volume_run
from toy_volumes import AFFINE, SHAPE, toy_image, write_nifti

from mmseg_ctt.apis import load_model, predict_volume
from mmseg_ctt.deploy.volumes import class_probabilities, slice_settings
from mmseg_ctt.deploy.volumes.picture import fullest_slice
from mmseg_ctt.volumes import open_volume, stack_slices
from mmseg_ctt.volumes.components import clean_labels, components


@pytest.fixture
def load(tmp_path):
    """Model of a run whose test data set has the given settings, and its first volume."""

    def load(member=None, model=None, **settings):
        run = make_volume_run(tmp_path, model, **settings)
        loaded = load_model(run.cfg, run.checkpoint, member)
        return loaded, tmp_path / 'volumes/images/c.nii.gz'

    return load


def by_dataset(model, plane):
    """Labels of the first volume of the test data set, slice by slice, as a test loop has them."""
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    slices = []
    with torch.no_grad():
        for i in range(SHAPE['xyz'.index(plane)]):
            (sample,) = model.test_step(pseudo_collate([dataset[i]]))
            slices.append(sample.pred_sem_seg.data[0].numpy())
    return stack_slices(slices, plane)


@pytest.mark.parametrize('plane', 'xyz')
@pytest.mark.parametrize('member, context', [('teacher0', 1), ('student1', 3), ('ensemble', 1)])
def test_as_the_test_loop_predicts(load, plane, member, context):
    model, path = load(member, plane=plane, context=context, percentiles=(5, 95))
    result = predict_volume(model, path, batch_size=3)
    np.testing.assert_array_equal(result.labels, by_dataset(model, plane))
    assert result.labels.dtype == np.uint8 and 0.01 < result.labels.mean() < 0.99
    assert result.settings == (plane, context, None, (5, 95))
    assert result.classes == ('background', 'box') and result.probabilities is None


def test_result_shows_the_slice_with_the_most_labels(load):
    model, path = load(plane='z', percentiles=(5, 95))
    result = predict_volume(model, path)
    labels = result.labels.copy()
    labels[:] = 0
    labels[2:5, 1:4, 3] = 1
    shown = Image.open(io.BytesIO(replace(result, labels=labels)._repr_png_()))
    pixels = np.array(shown)
    assert pixels.shape == (*SHAPE[:2], 3)
    coloured = np.ptp(pixels, axis=2) > 0
    assert coloured[2:5, 1:4].all() and coloured.sum() == 9
    assert fullest_slice(labels, 'z') == 3 and fullest_slice(labels * 0, 'z') == SHAPE[2] // 2


def test_settings_other_than_those_of_the_config(load):
    model, path = load(plane='z')
    along_x = predict_volume(model, path, plane='x', window=(0, 300)).labels
    other, _ = load(plane='x', window=(0, 300))
    np.testing.assert_array_equal(along_x, predict_volume(other, path).labels)
    assert (along_x != predict_volume(model, path, plane='x').labels).any()


@pytest.mark.parametrize('plane', 'xyz')
def test_probabilities(load, plane):
    model, path = load(plane=plane)
    result = predict_volume(model, path, probabilities=True)
    assert result.probabilities.shape == (2, *SHAPE)
    assert result.probabilities.dtype == np.float16
    np.testing.assert_allclose(result.probabilities.astype(float).sum(axis=0), 1, atol=2e-3)
    clear = abs(result.probabilities[1].astype(float) - 0.5) > 1e-3
    assert clear.mean() > 0.9
    likeliest = result.probabilities.argmax(axis=0)
    np.testing.assert_array_equal(likeliest[clear], result.labels[clear])
    given = np.full((2, *SHAPE), np.nan, np.float16)
    predict_volume(model, path, probabilities=given, batch_size=3)
    np.testing.assert_allclose(given, result.probabilities, atol=1e-3)


def test_a_sigmoid_for_two_classes():
    """One channel, in which mmseg stores the probability of the second class."""
    found = class_probabilities(torch.tensor([[[0.25, 1.0]]]))
    assert found.tolist() == [[[0.75, 0.0]], [[0.25, 1.0]]]


def test_plain_segmentor(load):
    model, path = load(model=toy_segmentor(num_classes=2))
    np.testing.assert_array_equal(predict_volume(model, path).labels, by_dataset(model, 'z'))


@pytest.mark.parametrize('member', ['teacher1', 'ensemble'])
def test_sliding_windows(load, member):
    """One window of the size of the slice is the whole slice; smaller ones differ at their edges.

    The networks predict as before afterwards.
    """
    model, path = load(member)
    whole = predict_volume(model, path, probabilities=True)
    one = predict_volume(model, path, probabilities=True, crop_size=(16, 24))
    np.testing.assert_array_equal(one.probabilities, whole.probabilities)
    windows = predict_volume(model, path, probabilities=True, crop_size=(8, 8), stride=(4, 8))
    assert (windows.probabilities != whole.probabilities).any()
    again = predict_volume(model, path, probabilities=True)
    np.testing.assert_array_equal(again.probabilities, whole.probabilities)


def test_windows_are_those_of_mmseg(load):
    model, path = load(model=toy_segmentor(num_classes=2))
    windows = predict_volume(model, path, crop_size=(8, 10), stride=(6, 7)).labels
    settings = dict(mode='slide', crop_size=(8, 10), stride=(6, 7))
    slides, _ = load(model=toy_segmentor(num_classes=2, test_cfg=settings))
    np.testing.assert_array_equal(windows, predict_volume(slides, path).labels)


def test_largest_component(load):
    model, path = load()
    quantile = np.quantile(predict_volume(model, path, probabilities=True).probabilities[1], 0.9)
    with torch.no_grad():  # a tenth of the voxels is foreground
        model.decode_head.conv_seg.bias[0] += float(np.log(quantile / (1 - quantile)))
    plain = predict_volume(model, path).labels
    assert 0.05 < plain.mean() < 0.15 and len(components(plain > 0)[1]) > 1
    cleaned = predict_volume(model, path, largest_component=True).labels
    np.testing.assert_array_equal(cleaned, clean_labels(plain))
    assert 0 < cleaned.sum() < plain.sum()


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz'])
def test_written_with_the_geometry_of_the_input(load, tmp_path, suffix):
    model, _ = load()
    volume = write_nifti(tmp_path / 'in.nii.gz', toy_image(9).astype(np.int16), qform_code=2)
    result = predict_volume(model, volume)
    written = nib.load(result.save(tmp_path / f'out/a{suffix}'))
    np.testing.assert_array_equal(np.asarray(written.dataobj), result.labels)
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-6)
    assert written.get_data_dtype() == np.uint8 and written.header['qform_code'] == 2
    assert [path.name for path in (tmp_path / 'out').iterdir()] == [f'a{suffix}']


def test_arrays_without_geometry(load, tmp_path):
    model, _ = load(percentiles=(1, 99))
    np.save(tmp_path / 'a.npy', toy_image(9).astype(np.float32))
    result = predict_volume(model, tmp_path / 'a.npy')
    np.testing.assert_array_equal(np.load(result.save(tmp_path / 'b.npy')), result.labels)
    assert open_volume(tmp_path / 'b.npy').shape == SHAPE


def test_a_run_on_images_needs_the_plane(load):
    model, path = load()
    model.cfg.test_dataloader.dataset.type = 'FolderSegDataset'
    with pytest.raises(ValueError, match='plane of its slices is not known: set plane'):
        predict_volume(model, path)
    assert predict_volume(model, path, plane='y').settings == ('y', 1, None, None)


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(batch_size=0), 'batch_size must be positive'),
        (dict(plane='axial'), "plane must be 'x', 'y' or 'z'"),
        (dict(context=5), 'context must be 1 or 3'),
        (dict(window=(3, 1)), 'rising numbers'),
        (dict(window=(0, 1), percentiles=(1, 99)), 'exclude one another'),
        (dict(stride=(4, 4)), 'stride needs crop_size'),
        (dict(crop_size=(8, 8), stride=(9, 8)), 'would have no prediction'),
        (dict(crop_size=(8, 0)), 'two positive numbers'),
        (dict(probabilities=np.zeros((3, *SHAPE))), r'must have the shape \(2, 12, 10, 8\)'),
    ],
)
def test_bad_settings(load, settings, words):
    model, path = load()
    with pytest.raises(ValueError, match=words):
        predict_volume(model, path, **settings)


def test_unknown_setting():
    with pytest.raises(TypeError, match='spacing is no setting of slices'):
        slice_settings({}, plane='z', spacing=1)


def test_a_window_takes_the_place_of_percentiles():
    cfg = dict(
        test_dataloader=dict(
            dataset=dict(type='VolumeSliceDataset', context=3, percentiles=(1, 99))
        )
    )
    assert slice_settings(cfg) == ('z', 3, None, (1, 99))
    assert slice_settings(cfg, window=(0, 5)) == ('z', 3, (0, 5), None)


def test_method_whose_networks_take_one_channel(load):
    """The loading step of the config says how a slice becomes channels."""
    from toy import of_channels

    segmentor = of_channels(toy_segmentor(num_classes=2), 1)
    segmentor['data_preprocessor'].pop('bgr_to_rgb')
    run, path = load(model=toy_ctt(segmentor=segmentor))
    run.cfg.test_dataloader.dataset.pipeline[0].color_type = 'grayscale'
    np.testing.assert_array_equal(predict_volume(run, path).labels, by_dataset(run, 'z'))
