# Copyright (c) mmseg_ctt contributors.
import json
import math

import numpy as np
import pytest
import torch
from reference import volume_scores as reference

from mmseg_ctt.evaluation.volumes import (
    SCORES,
    ScoreTable,
    class_scores,
    mask_scores,
    member_table,
    surface_distances,
    surface_points,
)

pytestmark = pytest.mark.filterwarnings('ignore:monai.metrics.utils:FutureWarning')
SHAPES = {3: (7, 6, 5), 2: (9, 7)}
SPACINGS = {3: (0.6, 1.25, 3.0), 2: (0.5, 2.0)}


def masks(seed, ndim=3):
    """Two masks of blobs and single voxels, which overlap and touch the border."""
    rng = np.random.default_rng(seed)
    found = []
    for shift in (0, 1):
        mask = rng.random(SHAPES[ndim]) < 0.06
        mask[tuple(slice(shift, 4 + shift) for _ in range(ndim))] = True
        mask[(3,) * ndim] &= bool(seed % 2)  # a hole
        found.append(mask)
    return found


def by_monai(prediction, truth, spacing):
    metrics = pytest.importorskip(
        'monai.metrics',
        reason='our scores must equal those of monai, of requirements/tests.txt; '
        'values by hand are tested without it',
    )
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    settings = dict(include_background=True, spacing=list(spacing))
    return (
        metrics.compute_dice(*pair, include_background=True).item(),
        metrics.compute_iou(*pair, include_background=True).item(),
        metrics.compute_hausdorff_distance(*pair, percentile=95, **settings).item(),
        metrics.compute_average_surface_distance(*pair, symmetric=True, **settings).item(),
    )


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('seed', range(6))
def test_as_monai(seed, ndim):
    pair = masks(seed, ndim)
    found = mask_scores(*pair, SPACINGS[ndim])
    assert found == pytest.approx(by_monai(*pair, SPACINGS[ndim]), rel=1e-5)
    assert 0 < found.dice < 1 and 0 < found.asd < found.hd95


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('seed', range(4))
def test_as_one_voxel_at_a_time(seed, ndim):
    pair = masks(seed, ndim)
    assert mask_scores(*pair, SPACINGS[ndim]) == pytest.approx(
        reference.scores(*pair, SPACINGS[ndim]), rel=1e-12
    )


@pytest.mark.parametrize('seed', range(3))
def test_as_monai_where_objects_fill_a_side_of_the_volume(seed):
    """Outside the volume is background: a wall of the volume is a surface of what touches it."""
    prediction, truth = masks(seed)
    prediction[:, :, -2:] = True
    truth[-1] = True
    found = mask_scores(prediction, truth, SPACINGS[3])
    assert found == pytest.approx(by_monai(prediction, truth, SPACINGS[3]), rel=1e-5)
    assert found == pytest.approx(reference.scores(prediction, truth, SPACINGS[3]), rel=1e-12)


def test_full_volumes_have_a_surface():
    full = np.ones((3, 4, 5), bool)
    assert len(surface_points(full, (1, 1, 1))) == 3 * 4 * 5 - 1 * 2 * 3
    assert mask_scores(full, full, (1, 2, 3)) == (1, 1, 0, 0)


def test_two_voxels_apart_by_the_spacing():
    """Six steps of an axis are that many mm, in whichever part of the volume they are."""
    for axis, step in enumerate(SPACINGS[3]):
        prediction, truth = np.zeros((2, 8, 8, 8), bool)
        start, end = [1, 1, 1], [1, 1, 1]
        end[axis] = 7
        prediction[tuple(start)] = truth[tuple(end)] = True
        found = mask_scores(prediction, truth, SPACINGS[3])
        assert found == pytest.approx((0, 0, 6 * step, 6 * step))


def test_a_percentile_of_each_direction():
    """One far voxel among 100 of the prediction is not in its 95th percentile."""
    prediction, truth = np.zeros((2, 100, 3), bool)
    prediction[:, 0] = truth[:, 0] = True
    prediction[50, 2] = True
    there, back = surface_distances(prediction, truth, (1, 1))
    assert (there.max(), back.max()) == (2, 0)
    found = mask_scores(prediction, truth, (1, 1))
    assert found.hd95 == 0 and found.asd == pytest.approx(2 / 201)


@pytest.mark.parametrize(
    'empty, expected',
    [('diagonal', math.sqrt(36 + 64 + 225)), ('nan', math.nan), (50.0, 50.0), (0, 0.0)],
)
def test_one_empty_mask(empty, expected):
    nothing, something = np.zeros((2, 6, 4, 5), bool)
    something[0, 0, 0] = True
    for pair in ((nothing, something), (something, nothing)):
        found = mask_scores(*pair, (1, 2, 3), empty)
        assert found == pytest.approx((0, 0, expected, expected), nan_ok=True)
    assert mask_scores(nothing, nothing, (1, 2, 3), empty) == (1, 1, 0, 0)


def test_no_distance_exceeds_the_diagonal():
    prediction, truth = np.zeros((2, 6, 4, 5), bool)
    prediction[0, 0, 0] = truth[-1, -1, -1] = True
    far = mask_scores(prediction, truth, (1, 2, 3)).hd95
    assert far < mask_scores(prediction, np.zeros_like(truth), (1, 2, 3)).hd95


def test_classes_and_ignored_voxels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (6, 5, 4))
    prediction = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 3, truth.shape))
    truth[2] = 255
    found = class_scores(prediction, truth, (1, 2, 3), (1, 1, 2))
    assert found.shape == (3, len(SCORES))
    for row, k in zip(found, (1, 2, 3)):
        pair = ((prediction == k) & (truth != 255), truth == k)
        assert row == pytest.approx(mask_scores(*pair, (1, 1, 2)))
    assert tuple(found[2]) == (1, 1, 0, 0)  # class 3 is nowhere
    unchanged = class_scores(np.where(truth == 255, 1, prediction), truth, (1, 2, 3), (1, 1, 2))
    assert np.array_equal(unchanged, found)


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(spacing=(1, 1)), 'spacing must be 3 positive'),
        (dict(spacing=(1, 1, 0)), 'spacing must be 3 positive'),
        (dict(spacing=(1, 1, math.nan)), 'spacing must be 3 positive'),
        (dict(empty='zero'), "'diagonal', 'nan' or a number"),
        (dict(empty=-1), 'number of mm from 0'),
        (dict(empty=True), 'number of mm from 0'),
        (dict(prediction=np.zeros((4, 4, 5), int)), r'\(4, 4, 5\), the truth \(4, 4, 4\)'),
    ],
)
def test_bad_arguments(changes, words):
    given = dict(prediction=np.zeros((4, 4, 4), int), truth=np.zeros((4, 4, 4), int))
    with pytest.raises(ValueError, match=words):
        class_scores(**{**given, 'classes': (1,), 'spacing': (1, 1, 1), **changes})


def table():
    values = np.array(
        [
            [[0.8, 0.6, 2.0, 1.0], [0.5, 0.4, math.nan, math.nan]],
            [[0.6, 0.4, 4.0, 2.0], [0.7, 0.6, 8.0, 3.0]],
        ]
    )
    return ScoreTable.of(dict(b=values[1], a=values[0]), ('heart', 'vessel'))


def test_means_leave_nan_out_and_say_so():
    found = table()
    mean, std, count = found.summary()
    assert found.cases == ('a', 'b') and found.rows == ('heart', 'vessel', 'all classes')
    assert mean[0] == pytest.approx([0.7, 0.5, 3, 1.5]) and std[0, 2] == pytest.approx(1)
    assert mean[1] == pytest.approx([0.6, 0.5, 8, 3]) and list(count[1]) == [2, 2, 1, 1]
    assert mean[2] == pytest.approx([0.65, 0.5, (2 + 6) / 2, (1 + 2.5) / 2])
    assert found.means()['mHD95'] == mean[2, 2] and found.means()['Dice_vessel'] == mean[1, 0]
    assert '8.00 ± 0.00 (of 1)' in found.as_text()


def test_a_score_that_no_case_has():
    values = np.full((1, 4), math.nan)
    mean, std, count = ScoreTable.of(dict(a=values), ('heart',)).summary()
    assert np.isnan(mean).all() and np.isnan(std).all() and not count.any()


def test_files():
    found = table()
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content['cases']['a']['vessel'] == dict(Dice=0.5, Jaccard=0.4, HD95=None, ASD=None)
    assert content['mean']['all classes']['Dice'] == pytest.approx(0.65)
    assert content['cases_counted']['vessel']['HD95'] == 1 and content['number_of_cases'] == 2
    lines = found.as_csv().splitlines()
    assert lines[0] == 'case,class,Dice,Jaccard,HD95,ASD,penalty'
    assert lines[1:3] == ['a,heart,0.8,0.6,2.0,1.0,', 'a,vessel,0.5,0.4,,,'] and len(lines) == 5


def test_members_side_by_side():
    text = member_table(dict(student0=table(), ensemble=table()))
    assert 'student0' in text and text.count('0.7000 ± 0.1000') == 2
