# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mmseg_ctt.label_fusion.agreement import (
    AgreementTable,
    cohen_kappa,
    dice_of_counts,
    fleiss_kappa,
    pair_counts,
)
from mmseg_ctt.label_fusion.votes import MISSING


def masks(raters=3, classes=3, seed=0):
    return np.random.RandomState(seed).randint(0, classes, (raters, 9, 10))


def test_dice_and_kappa():
    first, second, _ = masks()
    counts = pair_counts(first, second, 3)
    for k in range(3):
        both = ((first == k) & (second == k)).sum()
        want = 2 * both / ((first == k).sum() + (second == k).sum())
        assert dice_of_counts(counts)[k] == pytest.approx(want)
    assert cohen_kappa(counts) == pytest.approx(cohen_kappa_score(first.ravel(), second.ravel()))
    assert cohen_kappa(pair_counts(first, first, 3)) == 1


def test_missing_pixels_do_not_count():
    first, second, _ = masks()
    kept = pair_counts(first[:5], second[:5], 3)
    second[5:] = MISSING
    assert np.array_equal(pair_counts(first, second, 3), kept)


def test_undefined_values():
    counts = pair_counts(np.zeros((3, 3), int), np.zeros((3, 3), int), 2)
    assert np.isnan(dice_of_counts(counts)[1]) and np.isnan(cohen_kappa(counts))
    assert np.isnan(cohen_kappa(np.zeros((2, 2), int)))
    assert np.isnan(fleiss_kappa(np.full((2, 3, 3), MISSING), 2))


def test_fleiss_kappa():
    """The example of Fleiss (1971) as it is printed: 10 subjects, 14 raters, 5 categories."""
    table = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    labels = np.stack([np.repeat(np.arange(5), row) for row in table], axis=1)
    assert fleiss_kappa(labels, 5) == pytest.approx(0.210, abs=5e-4)
    same = np.stack([masks()[0]] * 3)
    assert fleiss_kappa(same, 3) == pytest.approx(1)


def test_table():
    table = AgreementTable(['anna', 'ben', 'cem'], 2)
    labels = masks(classes=2)
    table.add(labels)
    absent = masks(classes=2, seed=1)
    absent[1] = MISSING
    table.add(absent)
    rows = {tuple(row['raters']): row for row in table.pairs(['ground', 'vessel'])}
    assert [row['images'] for row in rows.values()] == [1, 2, 1]
    dice = [dice_of_counts(pair_counts(image[0], image[2], 2))[1] for image in (labels, absent)]
    assert rows['anna', 'cem']['dice']['vessel'] == pytest.approx(np.mean(dice))
    assert rows['anna', 'ben']['cohen_kappa'] == pytest.approx(
        cohen_kappa_score(labels[0].ravel(), labels[1].ravel())
    )


def test_table_of_raters_without_a_common_image():
    table = AgreementTable(['anna', 'ben'], 2)
    labels = masks(2, 2)
    labels[1] = MISSING
    table.add(labels)
    (row,) = table.pairs(['ground', 'vessel'])
    assert row['images'] == 0 and row['cohen_kappa'] is None and row['dice']['vessel'] is None
