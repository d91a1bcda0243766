# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest

from mmseg_ctt.evaluation.bootstrap import class_iou_of, mean_iou_of, paired_bootstrap


def areas(hits, size=100, classes=2):
    """Images in which each class has ``size`` pixels and is hit so often; errors go both ways."""
    hits = np.asarray(hits)
    return np.stack(
        [np.stack([np.full(classes, hit), *np.full((2, classes), size)]) for hit in hits]
    )


def test_scores_are_of_summed_pixels():
    counts = np.array([[2, 0, 0], [4, 0, 1], [2, 0, 0]])
    np.testing.assert_allclose(class_iou_of(counts), [0.5, np.nan, 0])
    assert mean_iou_of(counts) == 0.25
    assert np.isnan(mean_iou_of(np.zeros((3, 2))))


def test_difference_and_interval_against_a_loop():
    random = np.random.RandomState(0)
    first, second = areas(random.randint(20, 60, 12)), areas(random.randint(40, 90, 12))
    found = paired_bootstrap(first, second, draws=400, seed=3)
    whole = mean_iou_of(second.sum(axis=0)) - mean_iou_of(first.sum(axis=0))
    assert found.miou.value == pytest.approx(whole)
    drawn = []
    for _ in range(400):
        index = random.randint(0, 12, 12)
        drawn.append(mean_iou_of(second[index].sum(axis=0)) - mean_iou_of(first[index].sum(axis=0)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.miou.low == pytest.approx(low, abs=0.03)
    assert found.miou.high == pytest.approx(high, abs=0.03)
    assert found.miou.low < found.miou.value < found.miou.high
    assert found == paired_bootstrap(first, second, draws=400, seed=3)
    assert found != paired_bootstrap(first, second, draws=400, seed=4)


def test_paired():
    """Images of very different difficulty, of which the second model is always a little better."""
    hits = np.arange(10, 91, 8)
    better = paired_bootstrap(areas(hits), areas(hits + 4))
    assert better.miou.excludes_zero and better.miou.high - better.miou.low < 0.02
    worse = paired_bootstrap(areas(hits + 4), areas(hits))
    assert worse.miou.excludes_zero and worse.miou.value < 0
    mixed = paired_bootstrap(areas(hits), areas(hits + np.resize([8, -7], len(hits))))
    assert not mixed.miou.excludes_zero


def test_class_that_is_nowhere():
    first = areas([50, 60, 70, 50, 60, 70], classes=3)
    first[:, :, 1] = 0
    found = paired_bootstrap(first, first)
    assert np.isnan(found.classes[1].value) and np.isnan(found.classes[1].low)
    assert found.miou == (0, 0, 0) and not found.miou.excludes_zero


def test_class_without_truth():
    """Predicted by both models: it counts as 0, or not at all, also in every draw."""
    counts = np.array([[2, 0], [4, 0], [2, 1]])
    np.testing.assert_allclose(class_iou_of(counts, labelled_only=True), [0.5, np.nan])
    assert (mean_iou_of(counts), mean_iou_of(counts, labelled_only=True)) == (0.25, 0.5)
    first, second = (areas(np.arange(10, 70, 6) + more, classes=3) for more in (0, 20))
    for made in (first, second):
        made[:, :2, 2] = 0
    alone = paired_bootstrap(first[..., :2], second[..., :2])
    found = paired_bootstrap(first, second, labelled_only=True)
    assert found.miou == alone.miou and found.classes[:2] == alone.classes
    assert np.isnan(found.classes[2].value)
    assert paired_bootstrap(first, second).miou.value == pytest.approx(alone.miou.value * 2 / 3)


@pytest.mark.parametrize('number', [1, 2, 5])
def test_no_interval_of_few_images(number):
    """Their draws all favour one model by chance too often, or are all the same."""
    hits = np.arange(10, 10 + number)
    found = paired_bootstrap(areas(hits), areas(hits + 40))
    assert found.miou.value > 0 and not found.miou.excludes_zero
    assert np.isnan([found.miou.low, found.classes[0].high]).all()


def test_other_images():
    with pytest.raises(ValueError, match='same images'):
        paired_bootstrap(areas([1, 2]), areas([1]))
