# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmseg.registry import DATASETS, METRICS
from toy_data import toy_set
from toy_slice_samples import CLASSES, SPACING, case_samples, expected_scores, write_cases
from toy_volumes import SHAPE, toy_image

from mmseg_ctt.evaluation.volumes import VolumeMetric, member_tables, score_of
from mmseg_ctt.volumes import PLANES


@pytest.fixture
def paths(tmp_path):
    return write_cases(tmp_path / 'images')


def metric(**settings):
    made = VolumeMetric(**settings)
    made.dataset_meta = dict(classes=CLASSES)
    return made


@pytest.mark.parametrize('plane', PLANES)
def test_scores_of_whole_volumes(paths, plane):
    made, size = metric(), 0
    for seed, path in enumerate(paths):
        samples = case_samples(path, plane, seed)
        size += len(samples)
        for start in range(0, len(samples), 5):
            made.process(None, samples[start : start + 5])
        assert not made._parts.volumes(), 'a complete volume is scored at once'
    values = made.evaluate(size)
    assert made.table.cases == ('a', 'b') and made.table.classes == CLASSES[1:]
    for case, scores in zip(made.table.cases, made.table.values):
        np.testing.assert_allclose(scores, expected_scores()[case])
    both = np.stack(list(expected_scores().values()))
    assert values['volume/mDice'] == pytest.approx(both[..., 0].mean())
    assert values['volume/HD95_vessel'] == pytest.approx(both[:, 1, 2].mean())
    assert 0 < values['volume/mJaccard'] < values['volume/mDice'] < 1
    assert list(values) == [f'volume/{name}' for name in made.score_names()]
    assert all(score_of(name) in name for name in values)


def test_names_of_scores():
    assert VolumeMetric().score_names() is None, 'the classes are not known'
    names = metric().score_names()
    assert names[:5] == ['mDice', 'mJaccard', 'mHD95', 'mASD', 'Dice_heart']
    assert score_of('teacher0/volume/HD95_left a/b') == 'HD95' and score_of('mDice') == 'Dice'
    assert score_of('mIoU') is score_of('volume/Dicey') is score_of('SASD') is None


def test_settings_reach_the_scores(paths):
    made = metric(background=None, empty=7.0)
    samples = case_samples(paths[0], 'z', 0)
    for sample in samples:
        sample['pred_sem_seg']['data'].zero_()
    made.process(None, samples)
    values = made.evaluate(len(samples))
    assert values['volume/HD95_heart'] == values['volume/ASD_vessel'] == 7
    assert values['volume/Dice_background'] > 0 and made.table.classes == CLASSES
    assert made.table.one_empty.tolist() == [[False, True, True]]


def test_files(paths, tmp_path):
    evaluator = Evaluator([METRICS.build(dict(type='VolumeMetric', output_dir=tmp_path / 'out'))])
    evaluator.dataset_meta = dict(classes=CLASSES)
    (made,) = evaluator.metrics
    made.process(None, case_samples(paths[0], 'z', 0))
    made.evaluate(SHAPE[2])
    content = json.loads((tmp_path / 'out' / 'volume_scores.json').read_text())
    assert content['empty'] == 'diagonal' and list(content['cases']) == ['b']
    assert len((tmp_path / 'out' / 'volume_scores.csv').read_text().splitlines()) == 3
    assert '± 0.0000' in member_tables(dict(student0=[made], ensemble=[made]))[0]


def test_spacing_of_files_without(tmp_path):
    np.save(tmp_path / 'a.npy', toy_image())
    samples = case_samples(tmp_path / 'a.npy', 'z', 0)
    with pytest.raises(
        ValueError, match=r'a\.npy does not say its spacing.*set spacing of VolumeMetric'
    ):
        metric().process(None, samples[:1])
    made = metric(spacing=SPACING)
    made.process(None, samples)
    made.evaluate(len(samples))
    np.testing.assert_allclose(made.table.values[0], expected_scores()['b'])


def test_another_spacing_than_that_of_the_files(paths):
    with pytest.raises(ValueError, match=r'0.6, 0.7, 1.2\) mm, spacing of VolumeMetric is \(1'):
        metric(spacing=(1, 1, 1)).process(None, case_samples(paths[0], 'z', 0))
    metric(spacing=SPACING).process(None, case_samples(paths[0], 'z', 0))


def test_slices_are_missing(paths):
    made = metric()
    made.process(None, case_samples(paths[0], 'z', 0)[::2])
    with pytest.raises(ValueError, match=r'has 4 of 8 slices along z of .*b\.nii\.gz'):
        made.evaluate(4)


def test_data_set_of_images(root):
    dataset = DATASETS.build(toy_set(root, True, random=False))
    with pytest.raises(ValueError, match='scores slices of volumes, and .*/l0.jpg is none'):
        metric().check_dataset(dataset)
    with pytest.raises(ValueError, match='background=9 must be one of the classes 0 to 3'):
        metric(background=9).check_dataset(dataset)


def test_two_planes_of_a_volume(paths):
    made = metric()
    made.process(None, case_samples(paths[0], 'z', 0)[:1])
    with pytest.raises(ValueError, match='comes along z and along x'):
        made.process(None, case_samples(paths[0], 'x', 0)[:1])


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(img_path='images/street.jpg'), 'scores slices of volumes'),
        (dict(gt_sem_seg=None), 'needs labels'),
    ],
)
def test_samples_that_are_none(paths, change, words):
    sample = {**case_samples(paths[0], 'z', 0)[0], **change}
    sample = {key: value for key, value in sample.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        metric().process(None, [sample])


@pytest.mark.parametrize('settings', [dict(empty='none'), dict(spacing=(1, 1))])
def test_bad_settings(settings):
    with pytest.raises(ValueError):
        VolumeMetric(**settings)
